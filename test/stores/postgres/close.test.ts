// A store that is closed ends within seconds, and keeps no process alive, whatever the server does.

import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { postgresStore, type PostgresStoreOptions } from '../../../src/stores/postgres/index.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { Stores } from '../../support/postgres/stores.js';
import { startHolder } from '../../support/remote/holder.js';
import { Proxy } from '../../support/remote/proxy.js';

/** It takes 6 s at most; on a machine that is busy, longer. Without an end of its own a process goes on forever. */
const MOST_MS = 15_000;
const leaseMs = 20_000;
const stores = new Stores();
const ends: (() => Promise<void>)[] = [];

afterAll(async () => {
  await Promise.all(ends.reverse().map((end) => end())); // the servers and the proxies, without which clients end soon
  await stores.close();
});

async function started(): Promise<PostgresServer> {
  const server = await PostgresServer.start();
  ends.push(() => server.remove());
  const store = postgresStore({ connectionString: server.url() });
  await store.migrate();
  await store.close();
  return server;
}

async function proxyTo(server: PostgresServer): Promise<{ proxy: Proxy; url: string }> {
  const proxy = await Proxy.start(server.port);
  ends.push(() => proxy.stop());
  return { proxy, url: server.url('postgres', proxy.port) };
}

const inTime = (done: Promise<void>): Promise<string> =>
  Promise.race([done.then(() => 'ended'), sleep(MOST_MS, 'did not end', { ref: false })]);

describe.concurrent('A process ends when its store is closed', () => {
  it.for(['pg', 'postgres.js', 'connectionString'])(
    'by %s, after the server was away',
    async (kind, { onTestFinished }) => {
      const server = await started();
      const holder = await startHolder({ kind, url: server.url(), leaseMs }, 'ns', 'a', onTestFinished);
      await server.stop('immediate');
      await sleep(2_000); // by then clients wait for longer and longer before they connect again
      await server.resume();
      expect(await inTime(holder.close())).toBe('ended');
    },
  );

  it('by a client of its own, while the server does not answer', async ({ onTestFinished }) => {
    const { proxy, url } = await proxyTo(await started());
    const holder = await startHolder({ kind: 'connectionString', url, leaseMs }, 'ns', 'a', onTestFinished);
    proxy.way = 'mute';
    expect(await inTime(holder.close())).toBe('ended');
  });
});

describe.concurrent('close() ends while the server does not answer', () => {
  const ways: Record<string, (url: string) => PostgresStoreOptions> = {
    'a pool': (url) => ({ pool: stores.pool(url) }),
    'a sql': (url) => ({ sql: stores.sql(url) }),
    'a connection string': (url) => ({ connectionString: url }),
  };

  it.each(Object.entries(ways))('by %s, with a lock in hand', async (_way, options) => {
    const { proxy, url } = await proxyTo(await started());
    const store = postgresStore({ ...options(url), leaseMs });
    const hold = await new Lock('a', { store, namespace: 'ns' }).acquire();
    proxy.way = 'mute';
    expect(await inTime(store.close())).toBe('ended');
    expect(hold.signal.reason).toMatchObject({ code: 'ERR_SEMLOCK_LOST' });
  });

  it.each(Object.entries(ways))('by %s, before it has begun', async (_way, options) => {
    const { proxy, url } = await proxyTo(await started());
    const store = postgresStore({ ...options(url), leaseMs });
    proxy.way = 'mute';
    const asked = new Lock('a', { store, namespace: 'ns' }).acquire();
    asked.catch(() => undefined);
    expect(await inTime(store.close())).toBe('ended');
    await expect(asked).rejects.toMatchObject({ code: 'ERR_SEMLOCK_CLOSED' });
  });
});
