// How soon the next process has the lock of one that was killed, and what keeps the locks of one that lives. The tests
// with short leases come first, since the server has to be older than a lease.

import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { LockStore } from '../../../src/store.js';
import { redisStore } from '../../../src/stores/redis/index.js';
import { RedisServer } from '../../support/redis/server.js';
import { busyHolders } from '../../support/remote/busy-holder.js';
import { startHolder } from '../../support/remote/holder.js';
import { expectQuickRecovery, timeout } from '../../support/remote/recovery.js';

const DEFAULT_LEASE_MS = 15_000;
const kinds = ['ioredis', 'node-redis'];
const server = await RedisServer.start();
afterAll(() => server.stop());

async function storeOf(leaseMs: number, host = '127.0.0.1'): Promise<LockStore> {
  await server.isOlderThan(leaseMs);
  const client = new Redis(server.port, { host });
  const store = redisStore({ client, leaseMs });
  onTestFinished(async () => {
    await store.close();
    client.disconnect();
  });
  return store;
}

it('A holder that is killed leaves its lock after its lease where nobody on its host is alive', async () => {
  const leaseMs = 3_000;
  // By another name of the server it is no neighbour, as if it were on another host.
  const store = await storeOf(leaseMs, '127.1');
  let took = Infinity;
  // On a machine that is busy it takes longer now and then.
  for (let tries = 0; tries < 3 && took > leaseMs + 1_000; tries += 1) {
    const holder = await startHolder({ kind: 'ioredis', url: server.url, leaseMs }, 'far', 'lost host');
    const waiting = new Lock('lost host', { namespace: 'far', store }).acquire();
    await expect.poll(async () => (await store.query!({ namespace: 'far' })).pending.length).toBe(1);
    const killed = performance.now();
    await holder.kill();
    const hold = await waiting;
    took = performance.now() - killed;
    expect(took).toBeGreaterThan(leaseMs / 3);
    expect(hold.abandoned).toBe(true);
    await hold[Symbol.asyncDispose]();
  }
  expect(took).toBeLessThan(leaseMs + 1_000);
});

it('A holder whose main thread is blocked keeps its lock', async () => {
  const leaseMs = 5_000;
  const store = await storeOf(leaseMs);
  /** A process has three connections that are used: its client, one for messages, and that of the thread. */
  const count = async () => ((await server.command('CLIENT', 'LIST')).match(/ cmd=(evalsha|subscribe) /g) ?? []).length;
  const ways = kinds.map((kind) => ({ kind, url: server.url, leaseMs }));
  const outcomes = await busyHolders(ways, store, { count, of: 3 * ways.length });
  const kept = { lost: undefined, togetherMs: 0, abandoned: false };
  expect(outcomes).toEqual([kept, kept]);
});

describe('A holder that is killed', () => {
  it.each(kinds)('leaves its lock at once to a waiter on the same host, by %s', { timeout }, async (kind) => {
    const store = await storeOf(DEFAULT_LEASE_MS);
    await expectQuickRecovery({ kind, url: server.url, leaseMs: DEFAULT_LEASE_MS }, store);
  });

  it('leaves it to a try, too', async () => {
    const store = await storeOf(DEFAULT_LEASE_MS);
    const holder = await startHolder({ kind: 'ioredis', url: server.url }, 'recovery', 'tried');
    const lock = new Lock('tried', { namespace: 'recovery', store });
    expect(await lock.acquire({ ifAvailable: true })).toBeNull();
    await holder.kill();
    const hold = await lock.acquire({ ifAvailable: true });
    expect(hold?.abandoned).toBe(true);
    await hold?.[Symbol.asyncDispose]();
  });
});

describe('Many locks', () => {
  const [namespace, count] = ['many', 10_000];
  /** A renewal comes each third of a lease. */
  const WATCH_MS = DEFAULT_LEASE_MS / 3;

  /** How often the script runs while nobody asks for anything, and how much the memory of the server grows meanwhile. */
  async function idle() {
    const number = async (section: string, name: string) =>
      Number(new RegExp(`${name}[:=](\\d+)`).exec(await server.command('INFO', section))![1]);
    const look = async () => [await number('commandstats', 'evalsha:calls'), await number('memory', 'used_memory')];
    const before = await look();
    await sleep(WATCH_MS);
    const after = await look();
    return { scripts: after[0]! - before[0]!, bytes: after[1]! - before[1]! };
  }

  it('of one process are kept by one renewal each third of a lease, and no memory, however many they are', async () => {
    const store = await storeOf(DEFAULT_LEASE_MS);
    const holds = await Promise.all(
      Array.from({ length: count }, (_, at) => new Lock(`${at}`, { namespace, store }).acquire()),
    );
    // What was begun before may not be done where the machine is busy; a cost of each lock would be there at any time.
    const quiet = { scripts: Infinity, bytes: Infinity };
    for (let looks = 0; looks < 5 && (quiet.scripts > 2 || quiet.bytes > count * 10); looks += 1) {
      const { scripts, bytes } = await idle();
      quiet.scripts = Math.min(quiet.scripts, scripts);
      quiet.bytes = Math.min(quiet.bytes, bytes);
    }
    expect(quiet.scripts).toBeLessThanOrEqual(2);
    expect(quiet.bytes).toBeLessThanOrEqual(count * 10); // nothing for each lock
    expect(holds.filter(({ lost }) => lost !== undefined)).toEqual([]);
    await store.close!();
    // What was held is free again, and whatever is left expires by itself.
    expect(Number((await server.command('EXISTS', ...(await keys()))).slice(1))).toBeGreaterThan(0);
    for (const key of await keys()) expect(Number((await server.command('TTL', key)).slice(1))).toBeGreaterThan(0);
  });

  async function keys(): Promise<string[]> {
    return (await server.command('KEYS', 'semlock:*')).split('\r\n').filter((line) => line.startsWith('semlock:'));
  }
});
