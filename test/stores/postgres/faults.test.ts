// What happens when the server, the way to it, or a holder fails: nobody is let in beside a holder that has not been told,
// nothing stays locked, and what the server said is in the error.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';
import type { Pool, PoolClient } from 'pg';

import { Lock } from '../../../src/lock.js';
import { guard, type PostgresStore } from '../../../src/stores/postgres/index.js';
import { PostgresServer, type StopMode } from '../../support/postgres/server.js';
import { someSchema, Stores } from '../../support/postgres/stores.js';

const LEASE_MS = 2_000;
const stores = new Stores();
const servers: PostgresServer[] = [];

afterEach(async () => {
  await stores.close();
  for (const server of servers.splice(0)) await server.remove();
});

async function started(settings: Readonly<Record<string, string>> = {}, disk?: string): Promise<PostgresServer> {
  const server = await PostgresServer.start(settings, disk);
  servers.push(server);
  return server;
}

async function storeOf(
  server: PostgresServer,
  pool: Pool,
  leaseMs = LEASE_MS,
  schema?: string,
): Promise<PostgresStore> {
  const store = stores.store({ pool, leaseMs, ...(schema === undefined ? {} : { schema }) });
  await store.migrate();
  return store;
}

const terminateAll = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;

/** What the functions of the schema take for the time of the server. */
function clockOf(admin: Pool) {
  return {
    async take(): Promise<void> {
      await admin.query(`CREATE TABLE ahead (by interval NOT NULL);
        INSERT INTO ahead VALUES ('0');
        CREATE FUNCTION clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
          $$ SELECT pg_catalog.clock_timestamp() + (SELECT by FROM public.ahead) $$`);
      const { rows } = await admin.query<{ make: string }>(`SELECT pg_get_functiondef(oid) AS make FROM pg_proc
        WHERE pronamespace = 'semlock'::regnamespace AND prosrc LIKE '%pg_catalog.clock_timestamp%'`);
      for (const { make } of rows) await admin.query(make.replaceAll('pg_catalog.clock_timestamp', 'public.clock'));
    },
    set: (by: string) => admin.query('UPDATE ahead SET by = $1', [by]),
  };
}

describe('When the server', () => {
  it.each<StopMode>(['fast', 'immediate'])('is restarted (%s), holds stay held and waits go on', async (mode) => {
    const server = await started({ synchronous_commit: 'off' });
    const store = await storeOf(server, stores.pool(server.url()), 10_000);
    const [holder, waiter] = [stores.store({ pool: stores.pool(server.url()) }), store];
    const namespace = randomUUID();
    const holds = [];
    for (let n = 0; n < 20; n += 1) holds.push(await new Lock(`lock ${n}`, { store: holder, namespace }).acquire());
    const waiting = new Lock('lock 0', { store: waiter, namespace }).acquire();
    await expect.poll(async () => (await store.query!({ namespace })).pending.length).toBe(1);
    await server.stop(mode);
    await server.resume();
    expect(holds.map(({ signal }) => signal.aborted)).not.toContain(true);
    await expect.poll(async () => (await store.query!({ namespace })).held.length).toBe(20);
    for (const hold of holds) await hold[Symbol.asyncDispose]();
    const next = await waiting;
    expect(next.token).toBeGreaterThan(holds[0]!.token);
    await next[Symbol.asyncDispose]();
  });

  it('ends the connections of a holder and a waiter, both go on', async () => {
    const server = await started();
    const admin = stores.pool(server.url());
    const store = await storeOf(server, stores.pool(server.url()), 10_000);
    const namespace = randomUUID();
    const lock = new Lock('a', { store, namespace });
    const hold = await lock.acquire();
    const waiting = lock.acquire();
    await expect.poll(async () => (await store.query!({ namespace })).pending.length).toBe(1);
    await admin.query(terminateAll);
    await hold[Symbol.asyncDispose]();
    await (await waiting)[Symbol.asyncDispose]();
    expect(hold.lost).toBeUndefined();
  });

  it('goes and stays away, a holder is told in time and a request is refused', async () => {
    const server = await started();
    const store = await storeOf(server, stores.pool(server.url(), { connectionTimeoutMillis: 500 }));
    const lock = new Lock('a', { store, namespace: 'ns' });
    const hold = await lock.acquire();
    const lost = once(hold.signal, 'abort');
    const from = performance.now();
    await server.stop('immediate');
    await lost;
    expect(performance.now() - from).toBeLessThan(LEASE_MS + 500);
    expect(hold.lost?.code).toBe('ERR_SEMLOCK_LOST');
    await expect(lock.acquire()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_STORE', cause: { code: 'ECONNREFUSED' } });
  });

  it('is failed over to a standby, nothing is granted there as long as a holder may count on what was lost', async () => {
    const server = await started();
    const store = await storeOf(server, stores.pool(server.url()));
    const lock = new Lock('a', { store, namespace: 'ns' });
    const before = await lock.acquire();
    await before[Symbol.asyncDispose]();
    const standby = await server.standby();
    servers.push(standby);
    const refused = new Lock('a', { store: stores.store({ pool: stores.pool(standby.url()) }), namespace: 'ns' });
    await expect(refused.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('standby') as string,
      cause: { code: '25006' },
    });
    // The standby has not heard of this grant.
    await stores.pool(standby.url()).query('SELECT pg_wal_replay_pause()');
    const hold = await lock.acquire();
    await server.stop('immediate');
    const lostAt = once(hold.signal, 'abort').then(() => performance.now());
    await stores
      .pool(standby.url())
      .query('SELECT pg_wal_replay_resume()')
      .catch(() => undefined);
    await standby.promote();
    const promoted = stores.store({ pool: stores.pool(standby.url()), leaseMs: LEASE_MS });
    await stores.pool(standby.url()).query('DELETE FROM semlock.requests'); // as if it had not been replicated
    const next = await new Lock('a', { store: promoted, namespace: 'ns' }).acquire();
    expect(performance.now()).toBeGreaterThan(await lostAt);
    expect(next.token).toBeGreaterThan(hold.token);
    await next[Symbol.asyncDispose]();
  });

  it('has its clock set, a holder is told where that was forward, keeps its lock where it was back, and tokens grow', async () => {
    const server = await started();
    const admin = stores.pool(server.url());
    const store = await storeOf(server, stores.pool(server.url()));
    const clock = clockOf(admin);
    await clock.take();
    const lock = new Lock('a', { store, namespace: 'ns' });
    const first = await lock.acquire();
    await clock.set('-1 h');
    const renewed = async () => (await store.query!({ namespace: 'ns' })).held[0]?.alive;
    await sleep(LEASE_MS); // it is renewed by the new time
    expect([await renewed(), first.signal.aborted]).toEqual([true, false]);
    await first[Symbol.asyncDispose]();
    const second = await lock.acquire();
    expect(second.token).toBeGreaterThan(first.token);
    const lost = once(second.signal, 'abort');
    await clock.set('1 h');
    await lost;
    const third = await lock.acquire();
    expect(third.token).toBeGreaterThan(second.token);
    await third[Symbol.asyncDispose]();
  });

  it('loses the schema, a request is refused, and it goes on when there is one again', async () => {
    const server = await started();
    const admin = stores.pool(server.url());
    const schema = someSchema();
    const store = await storeOf(server, admin, LEASE_MS, schema);
    const lock = new Lock('a', { store, namespace: 'ns' });
    const hold = await lock.acquire();
    await admin.query(`DROP SCHEMA ${schema} CASCADE`);
    await expect(lock.acquire()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_STORE', cause: { code: '3F000' } });
    await store.migrate();
    await lock.run(() => expect(hold.signal.aborted).toBe(true));
  });

  it('has no room left, a request is refused, nothing is lost, and it goes on when there is room', async () => {
    const server = await started({}, '32m');
    const admin = stores.pool(server.url());
    const store = await storeOf(server, admin, 10_000);
    const namespace = 'full disk';
    const first = await new Lock('first', { store, namespace }).acquire();
    await admin.query('CREATE TABLE filler (x text)');
    for (let rows = 1_000; rows >= 1;) {
      const fill = `INSERT INTO filler SELECT repeat(md5(random()::text), 50) FROM generate_series(1, ${rows})`;
      await admin.query(fill).catch(() => (rows = rows === 1 ? 0 : Math.ceil(rows / 10)));
    }
    const holds = [first];
    const refused = (async () => {
      for (;;) holds.push(await new Lock(`lock ${holds.length}`, { store, namespace }).acquire());
    })();
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('disk') as string,
      cause: { code: '53100' },
    });
    expect((await store.query!({ namespace })).held).toHaveLength(holds.length);
    expect(holds.filter(({ lost }) => lost !== undefined)).toEqual([]);
    await admin.query('DROP TABLE filler');
    await Promise.all(holds.map((hold) => hold[Symbol.asyncDispose]()));
    await new Lock(`lock ${holds.length}`, { store, namespace }).run(() => undefined);
    expect(await store.query!({ namespace })).toMatchObject({ held: [], pending: [] });
  });

  it.each([
    ['statement_timeout', '57014'],
    ['lock_timeout', '55P03'],
  ])('cancels statements by its %s, a request is refused, and a release is made again', async (setting, code) => {
    const server = await started();
    const admin = stores.pool(server.url());
    await (await storeOf(server, admin, 10_000)).close();
    const hasty = stores.store({ pool: stores.pool(server.url(), { [setting]: 100 }) });
    const lock = new Lock('a', { store: hasty, namespace: 'ns' });
    const hold = await lock.acquire();
    const blocker = await admin.connect();
    await blocker.query('BEGIN; SELECT FROM semlock.locks FOR UPDATE');
    await expect(lock.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining(setting) as string,
      cause: { code },
    });
    const released = hold[Symbol.asyncDispose]();
    await blocker.query('SELECT pg_sleep(0.3)');
    await blocker.query('ROLLBACK');
    blocker.release();
    await released;
    await lock.run(() => undefined);
  });

  it('ends connections that are idle in a transaction, the lock of that is free and other holds stay held', async () => {
    const server = await started({ idle_in_transaction_session_timeout: '300' });
    const pool = stores.pool(server.url());
    const store = await storeOf(server, pool, 10_000);
    const lock = new Lock('a', { store, namespace: 'ns' });
    const kept = await new Lock('b', { store, namespace: 'ns' }).acquire();
    const begin = async (): Promise<PoolClient> => {
      const client = await pool.connect();
      client.on('error', () => undefined);
      await client.query('BEGIN');
      return client;
    };
    const idle = await begin();
    await store.lockInTransaction(idle, 'a', { namespace: 'ns' });
    expect(await lock.acquire({ ifAvailable: true })).toBeNull();
    await (await lock.acquire({ timeoutMs: 10_000 }))[Symbol.asyncDispose]();
    await expect(idle.query('COMMIT')).rejects.toThrow();
    idle.release(true);
    expect(kept.signal.aborted).toBe(false);
    await kept[Symbol.asyncDispose]();
    // Control: where that is off, the transaction keeps it.
    const patient = await begin();
    await patient.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await store.lockInTransaction(patient, 'a', { namespace: 'ns' });
    await expect(lock.acquire({ timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_TIMEOUT' });
    await patient.query('COMMIT');
    patient.release();
    await lock.run(() => undefined);
  });

  it('serialises all transactions, a run is right', async () => {
    const server = await started({ default_transaction_isolation: 'serializable' });
    const store = await storeOf(server, stores.pool(server.url()), 10_000);
    const namespace = randomUUID();
    let [count, inside] = [0, 0];
    const works = Array.from({ length: 4 }, async () => {
      const other = stores.store({ pool: stores.pool(server.url()) });
      for (let round = 0; round < 10; round += 1) {
        await new Lock('a', { store: round % 2 === 0 ? store : other, namespace }).run(async () => {
          inside += 1;
          expect(inside).toBe(1);
          const read = count;
          await new Promise(setImmediate);
          count = read + 1;
          inside -= 1;
        });
      }
    });
    await Promise.all(works);
    expect(count).toBe(40);
  });
});

describe('A holder', () => {
  const script = (server: PostgresServer, schema: string): string => `
    const { postgresStore } = require('./dist/stores/postgres/index.js');
    const { Lock } = require('./dist/index.js');
    const { Pool } = require('pg');
    const pool = new Pool({ connectionString: '${server.url()}' });
    const store = postgresStore({ pool, leaseMs: ${LEASE_MS}, schema: '${schema}' });
    new Lock('row', { store, namespace: 'ns' }).acquire().then((hold) => {
      process.send(hold.token);
      process.once('message', async () => {
        const { set, where } = require('./dist/stores/postgres/index.js').guard(hold);
        const { rowCount } = await pool.query(\`UPDATE accounts SET balance = 1, \${set} WHERE \${where}\`);
        process.send({ rowCount, lost: hold.lost?.code ?? null });
        process.exit();
      });
    });`;

  async function child(server: PostgresServer, schema: string) {
    const program = spawn(process.execPath, ['-e', script(server, schema)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [token] = (await once(program, 'message')) as [number];
    return { program, token };
  }

  it('that is killed is followed by another, who is told', async () => {
    const server = await started();
    const schema = someSchema();
    const store = await storeOf(server, stores.pool(server.url()), LEASE_MS, schema);
    const { program, token } = await child(server, schema);
    const waiting = new Lock('row', { store, namespace: 'ns' }).acquire();
    program.kill('SIGKILL');
    const next = await waiting;
    expect([next.abandoned, next.token > token]).toEqual([true, true]);
    await next[Symbol.asyncDispose]();
  });

  it('that is stopped beyond its lease changes no guarded row afterwards, but would an unguarded one', async () => {
    const server = await started();
    const schema = someSchema();
    const pool = stores.pool(server.url());
    const store = await storeOf(server, pool, LEASE_MS, schema);
    await pool.query('CREATE TABLE accounts (balance int NOT NULL, fence bigint NOT NULL DEFAULT 0)');
    await pool.query('INSERT INTO accounts VALUES (0)');
    const { program, token } = await child(server, schema);
    program.kill('SIGSTOP');
    const hold = await new Lock('row', { store, namespace: 'ns' }).acquire();
    expect([hold.abandoned, hold.token > token]).toEqual([true, true]);
    const { set, where } = guard(hold);
    const mine = await pool.query(`UPDATE accounts SET balance = 2, ${set} WHERE ${where}`);
    expect(mine.rowCount).toBe(1);
    const answered = once(program, 'message');
    program.send('go on');
    program.kill('SIGCONT');
    expect((await answered)[0]).toMatchObject({ rowCount: 0 });
    expect((await pool.query('SELECT balance FROM accounts')).rows).toEqual([{ balance: 2 }]);
    // Control: the same token, without the guard.
    expect((await pool.query(`UPDATE accounts SET balance = 1 WHERE ${token} > 0`)).rowCount).toBe(1);
    await hold[Symbol.asyncDispose]();
  });
});
