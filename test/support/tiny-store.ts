// How little a store is: locks in a map, tried again until they are free, as somebody would write over a key-value server.

import { setTimeout as sleep } from 'node:timers/promises';

import type { LockStore } from '../../src/store.js';

/** `releaseMs`: how long a release is on its way. */
export function tinyStore(releaseMs = 0): LockStore {
  const holders = new Map<string, object>();
  let last = 0;
  return {
    name: 'tiny',
    can: { sync: false, wait: false, share: false, steal: false, permits: false },
    open({ namespace, name }) {
      const key = `${namespace}\0${name}`;
      return {
        async acquire() {
          await sleep(0);
          if (holders.has(key)) return null;
          const grant = { token: (last += 1), abandoned: false, id: {} };
          holders.set(key, grant.id);
          return grant;
        },
        async release({ id }) {
          await sleep(releaseMs);
          return holders.get(key) === id && holders.delete(key);
        },
        onLost: () => undefined, // nothing takes it from its holder
      };
    },
  };
}
