// Poolers that go away and come back, and pools that have next to nothing to give.

import { Pool } from 'pg';
import postgres from 'postgres';
import { afterAll, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { PostgresStore, PostgresStoreOptions } from '../../../src/stores/postgres/index.js';
import { Bouncer, PostgresServer } from '../../support/postgres/server.js';
import { Stores } from '../../support/postgres/stores.js';
import { Proxy } from '../../support/remote/proxy.js';

const server = await PostgresServer.start();
const bouncer = await Bouncer.start(server);
const proxy = await Proxy.start(bouncer.port);
const stores = new Stores();
await stores.store({ pool: stores.pool(server.url()) }).migrate();

afterAll(async () => {
  await stores.close();
  await proxy.stop();
  await bouncer.remove();
  await server.remove();
});

const url = server.url('postgres', proxy.port);
const clients: Record<string, () => PostgresStore> = {
  pg: () => stores.store({ pool: stores.pool(url), listen: false }),
  'postgres.js': () => stores.store({ sql: stores.sql(url, { fetch_types: false }), listen: false }),
};
const faults: Record<string, () => Promise<void>> = {
  'is killed and starts again': async () => {
    await bouncer.stop();
    await bouncer.resume();
  },
  'loses its connections': () => {
    proxy.cut();
    return Promise.resolve();
  },
};

describe.each(Object.entries(faults))('When PgBouncer %s', (what, happens) => {
  it.each(Object.entries(clients))('holds stay held and waits go on, by %s', async (kind, make) => {
    const [holder, waiter] = [make(), make()];
    const namespace = `${what} ${kind}`;
    const hold = await new Lock('a', { store: holder, namespace }).acquire();
    const waiting = new Lock('a', { store: waiter, namespace }).acquire();
    await expect.poll(async () => (await waiter.query!({ namespace })).pending.length).toBe(1);
    await happens();
    await hold[Symbol.asyncDispose]();
    const next = await waiting;
    expect([hold.lost, next.token > hold.token, next.abandoned]).toEqual([undefined, true, false]);
    await next[Symbol.asyncDispose]();
  });
});

const option = (settings: string) => () => ({ pool: stores.pool(server.url(), { options: settings }) });
const configured: Record<string, () => PostgresStoreOptions> = {
  'that repeats reads by default': option('-c default_transaction_isolation=repeatable\\ read'),
  'that finds nothing by itself': option('-c search_path='),
  'that writes in its own way': option(
    '-c standard_conforming_strings=off -c datestyle=German -c timezone=Asia/Kathmandu -c bytea_output=escape ' +
      '-c intervalstyle=sql_standard -c client_encoding=latin1 -c extra_float_digits=-15',
  ),
  'that parses values in its own way': () => {
    const types = { getTypeParser: () => (value: unknown) => Buffer.from(String(value)) };
    return { pool: stores.pool(server.url(), { types }) };
  },
  'of postgres.js, with names in its own way': () => ({
    sql: stores.sql(server.url(), { transform: postgres.camel }),
  }),
  'that prepares statements, behind PgBouncer': () => ({
    sql: stores.sql(server.url('postgres', bouncer.port), { prepare: true }),
  }),
};

describe('A pool', () => {
  it.each(Object.entries(configured))('%s is one, too', async (namespace, make) => {
    const name = 'ä "\'\\%\n\ud800';
    const [one, two] = [0, 1].map(() => new Lock(name, { store: stores.store(make()), namespace })) as [Lock, Lock];
    const hold = await one.acquire();
    expect(await two.acquire({ ifAvailable: true })).toBeNull();
    const waiting = two.acquire();
    await expect.poll(async () => (await two.store.query!({ namespace })).pending.length).toBe(1);
    expect((await one.store.query!({ namespace })).held).toMatchObject([{ name, token: hold.token, alive: true }]);
    await hold[Symbol.asyncDispose]();
    const next = await waiting;
    expect([hold.lost, next.token > hold.token]).toEqual([undefined, true]);
    await next[Symbol.asyncDispose]();
  });

  it('that takes no writes says so', async () => {
    const lock = new Lock('a', {
      store: stores.store(option('-c default_transaction_read_only=on')()),
      namespace: 'ns',
    });
    await expect(lock.acquire()).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_STORE',
      message: expect.stringContaining('read-only') as string,
      cause: { code: '25006' },
    });
  });
});

describe('A pool that is closed while its locks are in use', () => {
  it.each(['pg', 'postgres.js'])('(%s) loses them, and they come free', async (kind) => {
    const leaseMs = 2_000;
    const [pool, sql] = [new Pool({ connectionString: server.url() }), postgres(server.url())];
    const store = stores.store({ leaseMs, ...(kind === 'pg' ? { pool } : { sql }) });
    const other = stores.store({ leaseMs, pool: stores.pool(server.url()) });
    const namespace = `closed ${kind}`;
    const [kept, given] = ['kept', 'given'].map((name) => new Lock(name, { namespace, store })) as [Lock, Lock];
    const [lost, hold] = [await kept.acquire(), await given.acquire()];
    const waiting = expect(given.acquire()).rejects.toMatchObject({ code: 'ERR_SEMLOCK_STORE' });
    await expect.poll(async () => (await other.query!({ namespace })).pending.length).toBe(1);
    await Promise.all([pool.end(), sql.end()]);
    await hold[Symbol.asyncDispose]();
    await waiting;
    expect(lost.lost?.code).toBe('ERR_SEMLOCK_LOST');
    for (const name of ['kept', 'given']) await new Lock(name, { namespace, store: other }).run(() => undefined);
  });
});

describe('A pool of one connection', () => {
  it('is enough for many who wait', async () => {
    const store = stores.store({ pool: stores.pool(server.url(), { max: 1 }) });
    let [inside, done] = [0, 0];
    const work = async (): Promise<void> => {
      inside += 1;
      expect(inside).toBe(1);
      await new Promise(setImmediate);
      inside -= 1;
      done += 1;
    };
    const runs = Array.from({ length: 30 }, () => new Lock('a', { store, namespace: 'one connection' }).run(work));
    await Promise.all(runs);
    expect(done).toBe(30);
  });

  it('is enough for a transaction that waits for a lock', async () => {
    const pool = stores.pool(server.url(), { max: 1 });
    const store = stores.store({ pool });
    const namespace = 'one transaction';
    const other = new Lock('a', { store: stores.store({ pool: stores.pool(server.url()) }), namespace });
    const hold = await other.acquire();
    const client = await pool.connect();
    await client.query('BEGIN');
    const waiting = store.lockInTransaction(client, 'a', { namespace, waitMs: 20_000 });
    await hold[Symbol.asyncDispose]();
    await waiting;
    expect(await other.acquire({ ifAvailable: true })).toBeNull();
    await client.query('COMMIT');
    client.release();
    await other.run(() => undefined);
  });
});
