// What PostgreSQL does for a lock, as functions of the schema: each is called by one statement, and so is one short
// transaction. They keep to these rules:
//
// P1 All that concerns a lock (its requests, its last token) changes under the lock of its row in `locks`, the latch. A
//    call takes one latch, or several in the order of their keys, so calls never wait for each other in a circle.
// P2 A call that takes a latch changes its row. So a transaction that is not READ COMMITTED, because somebody made that
//    the default, fails with a serialization failure; it cannot decide by what it saw before it had the latch.
// P3 A session is dead when it was ended, or marked so after its time. The mark is made under the lock of the session's
//    row. A renewal looks at the clock under that lock, so what it says is not taken back. A row that another has locked
//    is not waited for: its session is not known to be dead, and that is found by the next to ask.
// P4 Dead is final. What the dead have is removed by the next call.
// P5 The gate of a lock is a transaction-level advisory lock. A transaction that was given the lock within itself has it
//    until its end, and each call that grants the lock has it until that is committed. No call here waits for it.
// P6 What was answered survives a crash of the server: it is on the server's disk before the answer is sent.

/** Makes them, in the schema of that name, which is quoted as SQL wants it. */
export function functions(s: string): string {
  return `
-- Which advisory lock is the gate (P5). It has 64 bits of a digest: where two locks have the same ones, one of them seems
-- busy while a transaction has the other.
CREATE FUNCTION ${s}.gate(k bytea) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('x' || pg_catalog.encode(pg_catalog.substr(k, 1, 8), 'hex'))::bit(64)::bigint
$$;

-- What changes when the server may have been restarted, or a standby took over. Costs little.
CREATE FUNCTION ${s}.running() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT pg_catalog.pg_postmaster_start_time()::text || '-' || CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby'
    ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END
$$;

-- What changes when the data may have gone back to an earlier state: another cluster, or a standby that took over. A
-- server that was only restarted has lost nothing (P6).
CREATE FUNCTION ${s}.incarnation() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT c.system_identifier || '-' || CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'standby'
    ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END
  FROM pg_catalog.pg_control_system() c
$$;

-- P6 where the server is told otherwise.
CREATE FUNCTION ${s}.durable() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF pg_catalog.current_setting('synchronous_commit') = 'off' THEN
    PERFORM pg_catalog.set_config('synchronous_commit', 'local', true);
  END IF;
END $$;

CREATE FUNCTION ${s}.micros() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint
$$;

-- P1, P2. The row has a new token, which nobody else is given.
CREATE FUNCTION ${s}.latch(k bytea, sp bytea, ns text, nm text, p int) RETURNS ${s}.locks LANGUAGE plpgsql AS $$
DECLARE
  l ${s}.locks;
  lowest bigint;
BEGIN
  UPDATE ${s}.locks SET last_token = GREATEST(last_token + 1, ${s}.micros()), used = pg_catalog.clock_timestamp()
    WHERE key = k RETURNING * INTO l;
  IF FOUND THEN RETURN l; END IF;
  INSERT INTO ${s}.locks AS o (key, space, namespace, name, permits, last_token) VALUES (k, sp, ns, nm, p, ${s}.micros())
    ON CONFLICT (key) DO UPDATE SET last_token = GREATEST(o.last_token + 1, ${s}.micros()), used = pg_catalog.clock_timestamp()
    RETURNING * INTO l;
  -- A statement of its own: the row may have been there, and gone, while this waited for it.
  SELECT token_floor + 1 INTO lowest FROM ${s}.state WHERE one;
  IF l.last_token < lowest THEN
    UPDATE ${s}.locks SET last_token = lowest WHERE key = k RETURNING * INTO l;
  END IF;
  RETURN l;
END $$;

-- For how long nothing is granted, because holders that the server does not know of may count on what they have.
CREATE FUNCTION ${s}.quiet_ms(sp bytea) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  ends timestamptz;
  run text := ${s}.running();
  inc text;
  same boolean;
BEGIN
  SELECT st.running = run, (SELECT pg_catalog.max(q.until) FROM ${s}.quiet q WHERE q.space IN (''::bytea, sp))
    INTO same, ends FROM ${s}.state st WHERE st.one;
  IF same IS NOT TRUE THEN
    inc := ${s}.incarnation();
    INSERT INTO ${s}.quiet AS q (space, until)
      SELECT ''::bytea, pg_catalog.clock_timestamp() + st.longest_lease FROM ${s}.state st WHERE st.incarnation <> inc
      ON CONFLICT (space) DO UPDATE SET until = GREATEST(q.until, EXCLUDED.until);
    UPDATE ${s}.state SET running = run, incarnation = inc;
    SELECT pg_catalog.max(q.until) INTO ends FROM ${s}.quiet q WHERE q.space IN (''::bytea, sp);
  END IF;
  RETURN COALESCE(GREATEST(pg_catalog.ceil(EXTRACT(epoch FROM ends - pg_catalog.clock_timestamp()) * 1000)::int, 0), 0);
END $$;

-- P3.
CREATE FUNCTION ${s}.is_dead(x text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  r ${s}.sessions;
BEGIN
  SELECT * INTO r FROM ${s}.sessions WHERE sid = x;
  IF NOT FOUND OR r.ended IS NOT NULL THEN RETURN true; END IF;
  IF r.expires > pg_catalog.clock_timestamp() THEN RETURN false; END IF;
  PERFORM FROM ${s}.sessions WHERE sid = x AND ended IS NULL AND expires <= pg_catalog.clock_timestamp()
    FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE ${s}.sessions SET ended = 'died' WHERE sid = x;
  RETURN true;
END $$;

-- Whether one more can have it beside so many holders (P5).
CREATE FUNCTION ${s}.may_have(l ${s}.locks, wants_shared boolean, holders int, writers int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF l.permits > 1 THEN RETURN holders < l.permits; END IF;
  IF wants_shared THEN RETURN writers = 0 AND pg_catalog.pg_try_advisory_xact_lock_shared(${s}.gate(l.key)); END IF;
  RETURN holders = 0 AND pg_catalog.pg_try_advisory_xact_lock(${s}.gate(l.key));
END $$;

-- Under the latch of l: removes what the dead have (P4), and grants to those who wait what they can have.
CREATE FUNCTION ${s}.serve(l ${s}.locks, quiet int, asker text) RETURNS ${s}.locks LANGUAGE plpgsql AS $$
DECLARE
  r record;
  holders int;
  writers int;
BEGIN
  FOR r IN
    SELECT q.sid, pg_catalog.bool_or(q.state = 'held') AS held, pg_catalog.min(x.ended) AS ended
      FROM ${s}.requests q LEFT JOIN ${s}.sessions x USING (sid)
      WHERE q.key = l.key AND q.state IN ('held', 'waiting')
        AND (x.sid IS NULL OR x.ended IS NOT NULL OR x.expires <= pg_catalog.clock_timestamp())
      GROUP BY q.sid
  LOOP
    CONTINUE WHEN NOT ${s}.is_dead(r.sid);
    DELETE FROM ${s}.requests WHERE key = l.key AND sid = r.sid AND state IN ('held', 'waiting');
    IF r.held AND r.ended IS DISTINCT FROM 'released' THEN l.abandoned := true; END IF;
  END LOOP;

  SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE NOT q.shared) INTO holders, writers
    FROM ${s}.requests q WHERE q.key = l.key AND q.state = 'held';
  FOR r IN
    SELECT q.sid, q.request, q.shared, x.channel
      FROM ${s}.requests q JOIN ${s}.sessions x USING (sid)
      WHERE q.key = l.key AND q.state = 'waiting' ORDER BY q.place
  LOOP
    IF quiet > 0 OR NOT ${s}.may_have(l, r.shared, holders, writers) THEN
      -- A transaction has it now, which nobody waited for when they were told how long they may have to wait.
      IF holders = 0 AND asker = '' AND r.channel IS NOT NULL THEN
        PERFORM pg_catalog.pg_notify(r.channel, pg_catalog.json_build_object('sid', r.sid, 'is', 'look')::text);
      END IF;
      EXIT;
    END IF;
    l.last_token := GREATEST(l.last_token + 1, ${s}.micros());
    UPDATE ${s}.requests
      SET state = 'held', token = l.last_token, abandoned = l.abandoned, since = pg_catalog.clock_timestamp()
      WHERE sid = r.sid AND request = r.request;
    IF r.channel IS NOT NULL AND r.sid <> asker THEN
      PERFORM pg_catalog.pg_notify(r.channel, pg_catalog.json_build_object('sid', r.sid, 'is', 'granted',
        'request', r.request, 'token', l.last_token, 'abandoned', l.abandoned)::text);
    END IF;
    holders := holders + 1;
    IF NOT r.shared THEN writers := writers + 1; END IF;
    l.abandoned := false;
  END LOOP;
  UPDATE ${s}.locks o SET last_token = l.last_token, abandoned = l.abandoned
    WHERE o.key = l.key AND (o.last_token <> l.last_token OR o.abandoned <> l.abandoned);
  RETURN l;
END $$;

-- In how many ms a lock may come free by itself. A transaction that has it tells nobody when it ends, but for
-- those who waited when it got it and only if it commits; so that is asked for soon at first, and then less often.
CREATE FUNCTION ${s}.again_ms(k bytea, quiet int, waited interval) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  ms int;
BEGIN
  IF quiet > 0 THEN RETURN quiet; END IF;
  SELECT pg_catalog.ceil(EXTRACT(epoch FROM pg_catalog.min(x.expires) - pg_catalog.clock_timestamp()) * 1000)::int INTO ms
    FROM ${s}.requests q LEFT JOIN ${s}.sessions x USING (sid) WHERE q.key = k AND q.state = 'held';
  IF ms IS NULL THEN ms := LEAST(EXTRACT(epoch FROM waited) * 1000 / 8, 1000)::int; END IF;
  RETURN LEAST(GREATEST(ms, 10), 5000);
END $$;

CREATE FUNCTION ${s}.acquire(id text, n bigint, k bytea, sp bytea, ns text, nm text, p int, wants_shared boolean,
    waits boolean, steals boolean) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  seen record;
  l ${s}.locks;
  mine ${s}.requests;
  r record;
  holders int := 0;
  writers int := 0;
  waiters int := 0;
  quiet int;
BEGIN
  PERFORM ${s}.durable();
  SELECT x.ended, x.expires, q.state, q.since INTO seen
    FROM ${s}.sessions x LEFT JOIN ${s}.requests q ON q.sid = x.sid AND q.request = n WHERE x.sid = id;
  IF NOT FOUND OR seen.ended IS NOT NULL OR seen.expires <= pg_catalog.clock_timestamp() THEN
    RETURN pg_catalog.json_build_object('is', 'expired');
  END IF;
  -- That a live session has the lock is told without a change, which would have to be written to a disk.
  IF p = 1 AND NOT steals AND (seen.state = 'waiting' OR (seen.state IS NULL AND NOT waits)) THEN
    SELECT pg_catalog.count(*) FILTER (WHERE NOT (q.shared AND wants_shared)) AS in_the_way,
        COALESCE(pg_catalog.bool_and(o.permits = 1 AND x.ended IS NULL AND x.expires > pg_catalog.clock_timestamp()), false) AS sure
      INTO r FROM ${s}.requests q JOIN ${s}.locks o USING (key) LEFT JOIN ${s}.sessions x USING (sid)
      WHERE q.key = k AND q.state = 'held';
    l.key := k; l.permits := 1;
    IF (r.sure AND r.in_the_way > 0) OR (seen.state = 'waiting' AND NOT r.sure AND r.in_the_way = 0
        AND NOT ${s}.may_have(l, wants_shared, 0, 0)) THEN
      IF seen.state IS NULL THEN RETURN pg_catalog.json_build_object('is', 'busy'); END IF;
      RETURN pg_catalog.json_build_object('is', 'queued',
        'againMs', ${s}.again_ms(k, 0, pg_catalog.clock_timestamp() - seen.since));
    END IF;
  END IF;

  l := ${s}.latch(k, sp, ns, nm, p);
  quiet := ${s}.quiet_ms(sp);
  SELECT * INTO mine FROM ${s}.requests WHERE sid = id AND request = n;
  -- Most often there is nobody else, and so nobody to serve.
  IF EXISTS (SELECT FROM ${s}.requests WHERE key = k AND state IN ('held', 'waiting')) THEN
    r := l;
    l := ${s}.serve(l, quiet, id);
    IF l.last_token > r.last_token THEN
      UPDATE ${s}.locks SET last_token = last_token + 1 WHERE key = k RETURNING * INTO l;
    END IF;
    IF mine.state = 'waiting' THEN SELECT * INTO mine FROM ${s}.requests WHERE sid = id AND request = n; END IF;
    SELECT pg_catalog.count(*) FILTER (WHERE state = 'held'), pg_catalog.count(*) FILTER (WHERE state = 'held' AND NOT shared),
        pg_catalog.count(*) FILTER (WHERE state = 'waiting')
      INTO holders, writers, waiters FROM ${s}.requests WHERE key = k AND state IN ('held', 'waiting');
  END IF;
  CASE mine.state
    WHEN 'held' THEN
      RETURN pg_catalog.json_build_object('is', 'granted', 'token', mine.token, 'abandoned', mine.abandoned);
    WHEN 'waiting' THEN
      RETURN pg_catalog.json_build_object('is', 'queued',
        'againMs', ${s}.again_ms(k, quiet, pg_catalog.clock_timestamp() - mine.since));
    WHEN 'over', 'stolen' THEN
      RETURN pg_catalog.json_build_object('is', 'over');
    ELSE NULL;
  END CASE;

  IF l.permits <> p THEN
    IF holders + waiters > 0 THEN RETURN pg_catalog.json_build_object('is', 'mismatch', 'permits', l.permits); END IF;
    UPDATE ${s}.locks SET permits = p WHERE key = k RETURNING * INTO l;
  END IF;
  IF steals AND quiet = 0 THEN
    IF NOT ${s}.may_have(l, false, 0, 0) THEN
      RAISE EXCEPTION 'the lock is held within a transaction, from which it cannot be stolen' USING ERRCODE = 'object_in_use';
    END IF;
    FOR r IN
      UPDATE ${s}.requests q SET state = 'stolen' FROM ${s}.sessions x
        WHERE q.key = k AND q.state = 'held' AND x.sid = q.sid RETURNING q.sid, q.token, x.channel
    LOOP
      CONTINUE WHEN r.channel IS NULL;
      PERFORM pg_catalog.pg_notify(r.channel, pg_catalog.json_build_object('sid', r.sid, 'is', 'stolen', 'token', r.token)::text);
    END LOOP;
    holders := 0; writers := 0; waiters := 0;
  END IF;
  IF waiters = 0 AND quiet = 0 AND ${s}.may_have(l, wants_shared, holders, writers) THEN
    INSERT INTO ${s}.requests (sid, request, key, state, shared, token, abandoned)
      VALUES (id, n, k, 'held', wants_shared, l.last_token, l.abandoned);
    IF l.abandoned THEN UPDATE ${s}.locks SET abandoned = false WHERE key = k; END IF;
    RETURN pg_catalog.json_build_object('is', 'granted', 'token', l.last_token, 'abandoned', l.abandoned);
  END IF;
  IF NOT waits THEN RETURN pg_catalog.json_build_object('is', 'busy'); END IF;
  INSERT INTO ${s}.requests (sid, request, key, state, shared) VALUES (id, n, k, 'waiting', wants_shared);
  RETURN pg_catalog.json_build_object('is', 'queued', 'againMs', ${s}.again_ms(k, quiet, '0'));
END $$;

-- A request that may come again, late, is remembered, so that it finds that it is over.
CREATE FUNCTION ${s}.cancel(id text, n bigint, k bytea, sp bytea, ns text, nm text, p int, remember boolean)
    RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  l ${s}.locks;
  r record;
BEGIN
  PERFORM ${s}.durable();
  l := ${s}.latch(k, sp, ns, nm, p);
  DELETE FROM ${s}.requests WHERE sid = id AND request = n AND state IN ('held', 'waiting') RETURNING * INTO r;
  IF remember OR NOT FOUND THEN
    INSERT INTO ${s}.requests (sid, request, key, state, shared) SELECT id, n, k, 'over', false
      WHERE EXISTS (SELECT FROM ${s}.sessions WHERE sid = id) ON CONFLICT DO NOTHING;
  END IF;
  IF r.state = 'held' AND r.abandoned THEN
    UPDATE ${s}.locks SET abandoned = true WHERE key = k RETURNING * INTO l;
  END IF;
  IF EXISTS (SELECT FROM ${s}.requests WHERE key = k AND state = 'waiting') THEN
    PERFORM ${s}.serve(l, ${s}.quiet_ms(sp), '');
  END IF;
  RETURN 'true';
END $$;

CREATE FUNCTION ${s}.release(id text, n bigint, t bigint, k bytea, unused boolean, remember boolean)
    RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  l ${s}.locks;
  r record;
  had boolean;
BEGIN
  PERFORM ${s}.durable();
  UPDATE ${s}.locks SET used = pg_catalog.clock_timestamp() WHERE key = k RETURNING * INTO l;
  DELETE FROM ${s}.requests WHERE sid = id AND request = n AND token = t AND state = 'held' RETURNING * INTO r;
  had := FOUND;
  IF NOT had THEN
    -- It was released before, and the answer lost; or it was stolen, or the session has gone.
    had := EXISTS (SELECT FROM ${s}.sessions WHERE sid = id AND ended IS NULL)
      AND NOT EXISTS (SELECT FROM ${s}.requests WHERE sid = id AND request = n AND state = 'stolen');
  ELSIF unused AND r.abandoned THEN
    UPDATE ${s}.locks SET abandoned = true WHERE key = k RETURNING * INTO l;
  END IF;
  IF remember THEN
    INSERT INTO ${s}.requests (sid, request, key, state, shared) SELECT id, n, k, 'over', false
      WHERE EXISTS (SELECT FROM ${s}.sessions WHERE sid = id) ON CONFLICT DO NOTHING;
  END IF;
  IF EXISTS (SELECT FROM ${s}.requests WHERE key = k AND state = 'waiting') THEN
    PERFORM ${s}.serve(l, ${s}.quiet_ms(l.space), '');
  END IF;
  RETURN pg_catalog.to_json(had);
END $$;

CREATE FUNCTION ${s}.begin(id text, sp bytea, lease_ms int, chan text, suspect boolean) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  lease interval := lease_ms * interval '1 ms';
BEGIN
  PERFORM ${s}.durable();
  PERFORM ${s}.quiet_ms(sp);
  IF suspect THEN
    INSERT INTO ${s}.quiet AS q (space, until) VALUES (sp, pg_catalog.clock_timestamp() + lease)
      ON CONFLICT (space) DO UPDATE SET until = GREATEST(q.until, EXCLUDED.until);
  END IF;
  UPDATE ${s}.state SET longest_lease = lease WHERE longest_lease < lease;
  INSERT INTO ${s}.sessions (sid, expires, channel) VALUES (id, pg_catalog.clock_timestamp() + lease, chan)
    ON CONFLICT (sid) DO NOTHING;
  IF FOUND THEN RETURN 'true'; END IF;
  RETURN ${s}.renew(id, lease_ms, '{}');
END $$;

CREATE FUNCTION ${s}.renew(id text, lease_ms int, acknowledged bigint[]) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  r ${s}.sessions;
BEGIN
  PERFORM ${s}.durable();
  SELECT * INTO r FROM ${s}.sessions WHERE sid = id FOR UPDATE;
  -- By the clock as it is now that this has the row (P3).
  IF NOT FOUND OR r.ended IS NOT NULL OR r.expires <= pg_catalog.clock_timestamp() THEN
    RETURN pg_catalog.json_build_object('alive', false);
  END IF;
  UPDATE ${s}.sessions SET expires = pg_catalog.clock_timestamp() + lease_ms * interval '1 ms' WHERE sid = id;
  UPDATE ${s}.requests SET state = 'over' WHERE sid = id AND state = 'stolen' AND token = ANY (acknowledged);
  RETURN pg_catalog.json_build_object('alive', true,
    'held', (SELECT pg_catalog.count(*) FROM ${s}.requests WHERE sid = id AND state = 'held'),
    'stolen', (SELECT COALESCE(pg_catalog.json_agg(token), '[]') FROM ${s}.requests WHERE sid = id AND state = 'stolen'),
    'incarnation', (SELECT incarnation FROM ${s}.state));
END $$;

-- The first half of an end, in a transaction of its own: what the session has is dead from then on (P4).
CREATE FUNCTION ${s}.mark(id text, how text) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
  PERFORM ${s}.durable();
  UPDATE ${s}.sessions SET ended = how WHERE sid = id AND ended IS NULL;
  RETURN pg_catalog.to_json(FOUND);
END $$;

-- Removes what a dead session has, of some locks at a time, and serves those who wait there. Gives how many are left.
CREATE FUNCTION ${s}.sweep(id text, at_most int) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  k bytea;
  l ${s}.locks;
  remaining bigint;
BEGIN
  PERFORM ${s}.durable();
  FOR k IN
    SELECT DISTINCT key FROM ${s}.requests WHERE sid = id AND state IN ('held', 'waiting') ORDER BY key LIMIT at_most
  LOOP
    UPDATE ${s}.locks SET used = pg_catalog.clock_timestamp() WHERE key = k RETURNING * INTO l;
    PERFORM ${s}.serve(l, ${s}.quiet_ms(l.space), '');
  END LOOP;
  SELECT pg_catalog.count(*) INTO remaining FROM ${s}.requests WHERE sid = id AND state IN ('held', 'waiting');
  IF remaining = 0 THEN
    DELETE FROM ${s}.sessions WHERE sid = id AND ended IS NOT NULL;
    DELETE FROM ${s}.requests WHERE sid = id AND state IN ('over', 'stolen');
  END IF;
  RETURN pg_catalog.to_json(remaining);
END $$;

-- Removes what nobody needs any more: a session that has been dead for a while, and locks that nobody has used for a
-- minute. Gives how many locks.
CREATE FUNCTION ${s}.tidy(at_most int) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  x text;
  gone bigint;
  largest bigint;
BEGIN
  DELETE FROM ${s}.quiet WHERE until < pg_catalog.clock_timestamp();
  SELECT sid INTO x FROM ${s}.sessions
    WHERE ended IS NOT NULL OR expires < pg_catalog.clock_timestamp() - interval '10 s' LIMIT 1;
  IF FOUND AND ${s}.is_dead(x) THEN PERFORM ${s}.sweep(x, 64); END IF;
  WITH idle AS (
    SELECT key FROM ${s}.locks l
      WHERE l.used < pg_catalog.clock_timestamp() - interval '1 min'
        AND NOT EXISTS (SELECT FROM ${s}.requests q WHERE q.key = l.key AND q.state IN ('held', 'waiting'))
      LIMIT at_most FOR UPDATE SKIP LOCKED
  ), removed AS (
    DELETE FROM ${s}.locks l USING idle WHERE l.key = idle.key RETURNING l.last_token
  )
  SELECT pg_catalog.count(*), pg_catalog.max(last_token) INTO gone, largest FROM removed;
  UPDATE ${s}.state SET token_floor = largest WHERE token_floor < largest;
  RETURN pg_catalog.to_json(gone);
END $$;

-- What became of requests that wait, for those who get no notices.
CREATE FUNCTION ${s}.granted(ids text[], numbers bigint[]) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object('sid', q.sid, 'is', 'granted', 'request', q.request,
      'token', q.token, 'abandoned', q.abandoned)), '[]')
    FROM ROWS FROM (pg_catalog.unnest(ids), pg_catalog.unnest(numbers)) AS w (sid, request) JOIN ${s}.requests q USING (sid, request) WHERE q.state = 'held'
$$;

CREATE FUNCTION ${s}.holdings(id text) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object('name', l.name, 'request', q.request, 'token', q.token)), '[]')
    FROM ${s}.requests q JOIN ${s}.locks l USING (key) WHERE q.sid = id AND q.state = 'held'
$$;

CREATE FUNCTION ${s}.query(ns text) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT COALESCE(pg_catalog.json_agg(pg_catalog.json_build_object('name', l.name, 'state', q.state, 'shared', q.shared,
      'sid', q.sid, 'since', EXTRACT(epoch FROM q.since) * 1000, 'token', q.token,
      'alive', x.ended IS NULL AND x.expires > pg_catalog.clock_timestamp()) ORDER BY q.token, q.place), '[]')
    FROM ${s}.requests q JOIN ${s}.locks l USING (key) LEFT JOIN ${s}.sessions x USING (sid)
    WHERE q.state IN ('held', 'waiting') AND l.namespace = ns
$$;

-- Within the caller's own transaction, to whose end the gate stays closed (P5): 'held', 'busy', 'ask' where only the dead
-- or a quarantine may be in the way, or 'permits'. Neither a latch nor another row is touched, as that would be kept as long.
--
-- id and n: a request that this process has made for this transaction. When it has the lock, that is handed over to here.
CREATE FUNCTION ${s}.hold(k bytea, wants_shared boolean, id text, n bigint, timeout_ms int) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
  timeout_before text := pg_catalog.current_setting('lock_timeout');
  in_the_way text;
BEGIN
  IF pg_catalog.pg_is_in_recovery() THEN
    RAISE EXCEPTION 'this server is a standby, whose locks are not those of the primary' USING ERRCODE = 'read_only_sql_transaction';
  END IF;
  IF pg_catalog.current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'the transaction is %, and so does not see what was done under the lock before; it must be READ COMMITTED',
      pg_catalog.upper(pg_catalog.current_setting('transaction_isolation')) USING ERRCODE = 'active_sql_transaction';
  END IF;
  BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', timeout_ms || 'ms', true);
    IF wants_shared THEN PERFORM pg_catalog.pg_advisory_xact_lock_shared(${s}.gate(k));
    ELSE PERFORM pg_catalog.pg_advisory_xact_lock(${s}.gate(k));
    END IF;
    PERFORM pg_catalog.set_config('lock_timeout', timeout_before, true);
    SELECT CASE
        WHEN pg_catalog.bool_or(l.permits > 1) THEN 'permits'
        WHEN pg_catalog.bool_or(x.expires > pg_catalog.clock_timestamp()) THEN 'busy'
        ELSE 'ask' END
      INTO in_the_way
      FROM ${s}.requests q JOIN ${s}.locks l USING (key) JOIN ${s}.sessions x USING (sid)
      WHERE q.key = k AND q.state IN ('held', 'waiting') AND x.ended IS NULL
        AND (q.state = 'waiting' OR l.permits > 1 OR NOT (q.shared AND wants_shared))
        AND NOT (q.sid = id AND q.request = n)
        AND NOT (q.state = 'waiting' AND EXISTS (
          SELECT FROM ${s}.requests m WHERE m.sid = id AND m.request = n AND (m.state = 'held' OR m.place < q.place)))
      HAVING pg_catalog.count(*) > 0;
    IF in_the_way IS NULL AND (EXISTS (SELECT FROM ${s}.quiet WHERE until > pg_catalog.clock_timestamp())
        OR NOT EXISTS (SELECT FROM ${s}.state WHERE running = ${s}.running())) THEN
      in_the_way := 'ask';
    END IF;
    IF in_the_way IS NOT NULL THEN RAISE EXCEPTION USING ERRCODE = 'SL001'; END IF;
    PERFORM pg_catalog.pg_notify(x.channel, pg_catalog.json_build_object('sid', x.sid, 'is', 'look')::text)
      FROM ${s}.requests q JOIN ${s}.sessions x USING (sid)
      WHERE q.key = k AND q.state = 'waiting' AND x.channel IS NOT NULL AND x.ended IS NULL;
    RETURN '"held"';
  EXCEPTION
    WHEN lock_not_available THEN RETURN '"busy"';
    WHEN SQLSTATE 'SL001' THEN RETURN pg_catalog.to_json(in_the_way);
  END;
END $$;
`;
}
