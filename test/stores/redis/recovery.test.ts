// How soon the lock of a process that was killed is had by the next one, and what keeps the locks of one that lives.

import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';
import { afterAll, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { redisStore } from '../../../src/stores/redis/index.js';
import { RedisServer } from '../../support/redis/server.js';
import { busyHolder } from '../../support/remote/busy-holder.js';
import { startHolder } from '../../support/remote/holder.js';
import { recoveryMs } from '../../support/remote/recovery.js';

const leaseMs = 3_000;
const kinds = ['ioredis', 'node-redis'];
const server = await RedisServer.start();
await server.isOlderThan(15_000);
afterAll(() => server.stop());

function here(options: object = {}) {
  const client = new Redis(server.port);
  const store = redisStore({ client, leaseMs, ...options });
  const close = async () => {
    await store.close();
    client.disconnect();
  };
  return { store, close };
}

describe('A holder that is killed', () => {
  it.each(kinds)('leaves its lock at once to who waits on the same host, by %s', async (kind) => {
    const { store, close } = here({ leaseMs: 15_000 });
    const medianMs = await recoveryMs({ kind, url: server.url, leaseMs: 15_000 }, store);
    expect(medianMs).toBeLessThan(1_000); // on a machine that may be busy
    await close();
  });

  it('leaves it to a try, too', async () => {
    const { store, close } = here({ leaseMs: 15_000 });
    const holder = await startHolder({ kind: 'ioredis', url: server.url, leaseMs: 15_000 }, 'recovery', 'tried');
    const lock = new Lock('tried', { namespace: 'recovery', store });
    expect(await lock.acquire({ ifAvailable: true })).toBeNull();
    await holder.kill();
    const hold = await lock.acquire({ ifAvailable: true });
    expect(hold?.abandoned).toBe(true);
    await hold?.[Symbol.asyncDispose]();
    await close();
  });

  it('leaves it after its lease where nobody on its host is alive', async () => {
    // By another name of the server it is no neighbour, as if it were on another host.
    const far = new Redis(server.port, { host: '127.1' });
    const store = redisStore({ client: far, leaseMs });
    const holder = await startHolder({ kind: 'ioredis', url: server.url, leaseMs }, 'far', 'lost host');
    const waiting = new Lock('lost host', { namespace: 'far', store }).acquire();
    await sleep(50);
    const killed = performance.now();
    await holder.kill();
    const hold = await waiting;
    const took = performance.now() - killed;
    expect(took).toBeGreaterThan(leaseMs / 3);
    expect(took).toBeLessThan(leaseMs + 1_000);
    expect(hold.abandoned).toBe(true);
    await hold[Symbol.asyncDispose]();
    await store.close();
    far.disconnect();
  });
});

it('A holder whose main thread is blocked keeps its lock', async () => {
  const { store, close } = here({ leaseMs: 5_000 });
  const outcomes = await Promise.all(kinds.map((kind) => busyHolder({ kind, url: server.url, leaseMs: 5_000 }, store)));
  const kept = { lost: undefined, togetherMs: 0, abandoned: false };
  expect(outcomes).toEqual([kept, kept]);
  await close();
});

describe('Many locks', () => {
  it('of one process are kept by one renewal, however many they are', async () => {
    const { store, close } = here();
    const number = async (section: string, name: string) =>
      Number(new RegExp(`${name}[:=](\\d+)`).exec(await server.command('INFO', section))![1]);
    /** How often the script ran within a lease, and how much the memory of the server grew. */
    const perLease = async () => {
      const look = async () => [await number('commandstats', 'evalsha:calls'), await number('memory', 'used_memory')];
      const before = await look();
      await sleep(leaseMs);
      const after = await look();
      return { scripts: after[0]! - before[0]!, bytes: after[1]! - before[1]! };
    };
    const [namespace, count] = ['many', 10_000];
    const first = await new Lock('0', { namespace, store }).acquire();
    const few = await perLease();
    const holds = await Promise.all(
      Array.from({ length: count }, (_, at) => new Lock(`${at + 1}`, { namespace, store }).acquire()),
    );
    await sleep(200);
    const many = await perLease();
    expect(few.scripts).toBeLessThan(10); // a renewal each third of a lease
    expect(many.scripts).toBeLessThan(10);
    expect(many.bytes).toBeLessThan(count * 10); // nothing for each lock
    expect(holds.filter(({ lost }) => lost !== undefined)).toEqual([]);
    expect(first.lost).toBeUndefined();
    await close();
    // What was held is free again, and whatever is left expires by itself.
    const keys = (await server.command('KEYS', 'semlock:*'))
      .split('\r\n')
      .filter((line) => line.startsWith('semlock:'));
    for (const key of keys) expect(Number((await server.command('TTL', key)).slice(1))).toBeGreaterThan(0);
  });
});
