// A cluster of three nodes: the keys of a namespace are in one slot, wherever that is.

import { Cluster } from 'ioredis';
import { createCluster } from 'redis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { ClosableStore } from '../../../src/store.js';
import { redisStore } from '../../../src/stores/redis/index.js';
import { RedisServer } from '../../support/redis/server.js';

const leaseMs = 3_000;
const SLOTS = 16_384;
const nodes: RedisServer[] = [];
const stores: ClosableStore[] = [];
const ends: (() => unknown)[] = [];
let io: Cluster;

beforeAll(async () => {
  for (let at = 0; at < 3; at += 1) nodes.push(await RedisServer.start(['--cluster-enabled', 'yes']));
  for (const [at, node] of nodes.entries()) {
    const [from, to] = [Math.floor((SLOTS * at) / 3), Math.floor((SLOTS * (at + 1)) / 3) - 1];
    await node.command('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to));
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1));
    for (const other of nodes) await node.command('CLUSTER', 'MEET', '127.0.0.1', String(other.port));
  }
  for (const node of nodes) {
    await vi.waitUntil(async () => /cluster_state:ok[^]*known_nodes:3/.test(await node.command('CLUSTER', 'INFO')), {
      timeout: 20_000,
    });
    await node.isOlderThan(leaseMs);
  }
  io = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
  const node = createCluster({ rootNodes: nodes.map(({ url }) => ({ url })) });
  node.on('error', () => undefined);
  await node.connect();
  stores.push(redisStore({ client: io, leaseMs }), redisStore({ client: node, leaseMs }));
  ends.push(
    () => io.disconnect(),
    () => node.destroy(),
  );
}, 60_000);

afterAll(async () => {
  for (const store of stores) await store.close();
  for (const end of ends) end();
  for (const node of nodes) await node.stop();
});

it('excludes, hands over and keeps locks of many namespaces, by both clients', async () => {
  await Promise.all(
    Array.from({ length: 9 }, async (_, at) => {
      const [one, other] = stores.map((store) => new Lock('file', { namespace: `space ${at}`, store })) as [Lock, Lock];
      const [first, second] = at % 2 === 0 ? [one, other] : [other, one];
      const hold = await first.acquire();
      expect(await second.acquire({ ifAvailable: true })).toBeNull();
      const waiting = second.acquire();
      await new Promise((resolve) => setTimeout(resolve, 1.5 * leaseMs)); // it is renewed meanwhile
      expect(hold.lost).toBeUndefined();
      const asked = performance.now();
      await hold[Symbol.asyncDispose]();
      const next = await waiting;
      expect(performance.now() - asked).toBeLessThan(1_000); // it was told, and did not find it by asking again
      expect([next.token > hold.token, next.abandoned, hold.lost]).toEqual([true, false, undefined]);
      await next[Symbol.asyncDispose]();
    }),
  );
});

it('refuses a request whose keys are in several slots, and the lock is left free', async () => {
  const [mine, others] = stores.map((store) => new Lock('file', { namespace: 'two slots', store })) as [Lock, Lock];
  await (await mine.acquire())[Symbol.asyncDispose]();
  const evalsha = io.evalsha.bind(io) as (sha: string, keys: number, ...args: string[]) => Promise<unknown>;
  const broken = vi.spyOn(io, 'evalsha') as unknown as { mockImplementation(act: typeof evalsha): void };
  broken.mockImplementation((sha, _keys, key, ...args) => evalsha(sha, 2, key!, 'elsewhere', ...args));
  await expect(mine.acquire()).rejects.toMatchObject({
    code: 'ERR_SEMLOCK_STORE',
    message: expect.stringContaining('CROSSSLOT') as string,
  });
  vi.restoreAllMocks();
  const hold = await others.acquire({ timeoutMs: 5_000 });
  await hold[Symbol.asyncDispose]();
  expect(hold.lost).toBeUndefined();
});

it('cannot wait for replicas', () => {
  const client = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true });
  expect(() => redisStore({ client, syncReplicas: 1 })).toThrow(/"syncReplicas" is for one server/);
});
