// Locks on a Redis server, all by ioredis over the Unix socket of the trial's server. Each gives `acquire()`, a promise of the
// function that releases; those that ask again and again do so every 10 ms.

import { createHash, randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';

import { Redis } from 'ioredis';
import { Mutex } from 'redis-semaphore';

import { socketPath } from './redis-server.mjs';

const RETRY_MS = 10;
const TTL_MS = 30_000;
/** Short, because a server that has just been started grants nothing for as long. */
const LEASE_MS = 2_000;
const DELETE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end`;

export const waiting = {
  async semlock(place) {
    const { Lock } = await import('../../../dist/index.js');
    const { redisStore } = await import('../../../dist/stores/redis/index.js');
    const store = redisStore({ client: connect(place), leaseMs: LEASE_MS });
    const lock = new Lock('bench', { namespace: place.namespace, store });
    return async () => {
      const hold = await lock.acquire();
      return () => hold[Symbol.asyncDispose]();
    };
  },

  redlock: (place) => redlock(place, { retryDelay: RETRY_MS, retryJitter: 0 }),
  /** With its own delay, 200 ms and up to 100 ms more or less. */
  redlockDefault: (place) => redlock(place, {}),

  'redis-semaphore'(place) {
    const client = connect(place);
    return async () => {
      const mutex = new Mutex(client, 'bench', {
        acquireTimeout: 60_000,
        retryInterval: RETRY_MS,
        lockTimeout: TTL_MS,
      });
      await mutex.acquire();
      return () => mutex.release();
    };
  },

  setNx(place) {
    const client = connect(place);
    const sha = shaOf(DELETE);
    const release = async (value) => {
      try {
        await client.evalsha(sha, 1, 'bench', value);
      } catch {
        await client.eval(DELETE, 1, 'bench', value);
      }
    };
    return async () => {
      const value = randomUUID();
      while ((await client.set('bench', value, 'PX', TTL_MS, 'NX')) === null) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
      return () => release(value);
    };
  },

  /** Blocks until there is an element in the list, which is the lock; nobody knows who has it. */
  async token(place) {
    const client = connect(place);
    if ((await client.set('token made', '1', 'NX')) !== null) await client.lpush('token', '1');
    return async () => {
      await client.blpop('token', 0);
      return () => client.lpush('token', '1');
    };
  },

  /** Two scripts that do nothing, with as many arguments as semlock's: nobody is excluded. */
  async emptyScripts(place) {
    const client = connect(place);
    const [granted, released] = ['return 1764000000000000', 'return 1'];
    for (const script of [granted, released]) await client.eval(script, 0);
    const [first, second] = [shaOf(granted), shaOf(released)];
    const [key, session] = [`semlock:{${'k'.repeat(22)}}`, `12345-0-${'s'.repeat(16)}`];
    return async () => {
      await client.evalsha(first, 1, key, 'acquire', session, '=bench', '12345', '0', '1', '0', '1');
      return () => client.evalsha(second, 1, key, 'release', session, '=bench', '12345', '1764000000000000', '0');
    };
  },

  /** What semlock sends for the two, and nothing else. */
  async roundTrips(place) {
    const { SCRIPT, SHA } = await import('../../../dist/stores/redis/script.js');
    const client = connect(place);
    const [key, session, lease] = [`semlock:{${'k'.repeat(22)}}`, `12345-0-${'s'.repeat(16)}`, String(LEASE_MS)];
    await client.eval(SCRIPT, 1, key, 'begin', session, lease, '0', '0');
    const renewing = connect(place);
    setInterval(() => renewing.evalsha(SHA, 1, key, 'renew', session, lease), LEASE_MS / 3);
    let last = 0;
    return async () => {
      const request = String((last += 1));
      let token = [];
      // A server that has just been started grants nothing for a while.
      while (typeof token !== 'number') {
        token = await client.evalsha(SHA, 1, key, 'acquire', session, '=bench', request, '0', '1', '0', '1');
      }
      return () => client.evalsha(SHA, 1, key, 'release', session, '=bench', request, String(token), '0');
    };
  },
};

function redlock(place, delays) {
  const { default: Redlock } = createRequire(import.meta.url)('redlock');
  const redlock = new Redlock([connect(place)], { retryCount: -1, ...delays });
  return async () => {
    const lock = await redlock.acquire(['bench'], TTL_MS);
    return () => lock.release();
  };
}

function connect({ folder }) {
  return new Redis({ path: socketPath(folder) });
}

function shaOf(script) {
  return createHash('sha1').update(script).digest('hex');
}
