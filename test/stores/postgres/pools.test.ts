// Poolers that go away and come back, and pools that have next to nothing to give.

import { afterAll, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { PostgresStore } from '../../../src/stores/postgres/index.js';
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
