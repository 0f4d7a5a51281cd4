// The lock that the manual of Redis describes: SET with NX and PX and a random value, and a script that deletes the key
// if it still has that value. It waits by asking again every 10 ms. Over a Unix socket, without persistence.

import { randomUUID } from 'node:crypto';

import { createClient } from '@redis/client';

import { socketPath } from './redis-server.mjs';

const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end`;
const TTL_MS = 30_000;

export const uncontended = {
  pair: async (place) => {
    const { tryLock, unlock } = await connect(place);
    return async (count) => {
      for (let i = 0; i < count; i++) {
        const value = await tryLock();
        if (value === null) throw new Error('the key was not free');
        await unlock(value);
      }
    };
  },
};

export const waiting = {
  wait: async (place) => {
    const { tryLock, unlock } = await connect(place);
    return async () => {
      for (;;) {
        const value = await tryLock();
        if (value !== null) return () => unlock(value);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
  },
};

async function connect({ folder }) {
  const client = createClient({ socket: { path: socketPath(folder) } });
  await client.connect();
  const release = await client.scriptLoad(RELEASE);
  return {
    tryLock: async () => {
      const value = randomUUID();
      const answer = await client.set('bench', value, {
        condition: 'NX',
        expiration: { type: 'PX', value: TTL_MS },
      });
      return answer === null ? null : value;
    },
    unlock: (value) => client.evalSha(release, { keys: ['bench'], arguments: [value] }),
  };
}
