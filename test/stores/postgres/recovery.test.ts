// How soon the next process has the lock of one that was killed, and one whose message was lost; and what keeps the
// locks of one that lives.

import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { someSchema, Stores } from '../../support/postgres/stores.js';
import { busyHolders } from '../../support/remote/busy-holder.js';
import { startHolder } from '../../support/remote/holder.js';
import { expectQuickRecovery, timeout } from '../../support/remote/recovery.js';

const leaseMs = 15_000;
const stores = new Stores();
const servers: PostgresServer[] = [];

afterEach(async () => {
  await stores.close();
  for (const server of servers.splice(0)) await server.remove();
});

async function started(): Promise<PostgresServer> {
  const server = await PostgresServer.start();
  servers.push(server);
  return server;
}

async function storeOf(server: PostgresServer, options: object = {}) {
  const store = stores.store({ pool: stores.pool(server.url()), leaseMs, ...options });
  await store.migrate();
  return store;
}

describe('A holder that is killed', () => {
  it.each(['pg', 'postgres.js'])(
    'leaves its lock at once to a waiter on the same host, by %s',
    { timeout },
    async (kind) => {
      const server = await started();
      await expectQuickRecovery({ kind, url: server.url(), leaseMs }, await storeOf(server));
    },
  );

  it('is no concern of those who have another schema, and still leaves its lock at once', async () => {
    const server = await started();
    const elsewhere = await storeOf(server, { schema: someSchema() });
    const store = await storeOf(server);
    const holder = await startHolder({ kind: 'pg', url: server.url(), leaseMs }, 'recovery', 'a');
    const other = await new Lock('a', { namespace: 'recovery', store: elsewhere }).acquire();
    await holder.kill();
    await sleep(1_500); // those who live look for the dead twice a second
    const hold = await new Lock('a', { namespace: 'recovery', store }).acquire({ timeoutMs: leaseMs / 3 });
    expect(hold.abandoned).toBe(true);
    await hold[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
  });
});

it('A holder whose main thread is blocked keeps its lock, unless it has no thread that renews', async () => {
  const server = await started();
  const leaseMs = 5_000;
  const store = await storeOf(server, { leaseMs });
  const admin = stores.pool(server.url(), { max: 1 });
  const count = async () => {
    const { rows } = await admin.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'semlock renewal' AND query LIKE '%.renew(%'`,
    );
    return rows[0]!.n;
  };
  const ways = [{ kind: 'pg' }, { kind: 'postgres.js' }, { kind: 'pg', withoutThread: true }].map((way) => {
    return { ...way, url: server.url(), leaseMs };
  });
  const outcomes = await busyHolders(ways, store, { count, of: 2 });
  const kept = { lost: undefined, togetherMs: 0, abandoned: false };
  expect(outcomes).toEqual([kept, kept, expect.objectContaining({ lost: 'ERR_SEMLOCK_LOST', abandoned: true })]);
});

describe('A message that is lost', () => {
  it('delays who waits by a few seconds at most', async () => {
    const server = await started();
    const longLease = { leaseMs: 60_000 }; // a renewal finds it, too
    const store = await storeOf(server, longLease);
    const admin = stores.pool(server.url());
    // In place of the server's own, which the functions of the schema call by its full name.
    const { rows } = await admin.query<{ make: string }>(`SELECT pg_get_functiondef(oid) AS make FROM pg_proc
      WHERE pronamespace = 'semlock'::regnamespace AND prosrc LIKE '%pg_catalog.pg_notify%'`);
    await admin.query(`CREATE TABLE lost (payload text);
      CREATE FUNCTION lose(text, text) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.lost VALUES ($2) $$`);
    for (const { make } of rows) await admin.query(make.replaceAll('pg_catalog.pg_notify', 'public.lose'));
    const holding = await new Lock('a', { namespace: 'ns', store: await storeOf(server, longLease) }).acquire();
    const waiting = new Lock('a', { namespace: 'ns', store }).acquire();
    await expect.poll(async () => (await store.query!({ namespace: 'ns' })).pending.length).toBe(1);
    const released = performance.now();
    await holding[Symbol.asyncDispose]();
    const hold = await waiting;
    expect(performance.now() - released).toBeLessThan(10_000);
    const lost = await admin.query<{ payload: string }>('SELECT payload FROM lost');
    expect(lost.rows.map(({ payload }) => JSON.parse(payload) as unknown)).toContainEqual(
      expect.objectContaining({ is: 'granted', token: hold.token }),
    );
    await hold[Symbol.asyncDispose]();
  });
});
