// semlock, as built in dist/.

import { setImmediate as nextTurn } from 'node:timers/promises';

import { Lock, NamedSemaphore, Semaphore } from '../../../dist/index.js';
import { KeyedLocks } from '../../../dist/keyed-locks.js';
import { addon } from '../../../dist/native.js';
import { StoredLock } from '../../../dist/stored-lock.js';

const HOT_KEYS = 16;
/** How many names a turn of the event loop opens. */
const TURN = 64;

export const uncontended = {
  lock: ({ namespace }) => tryPairs(new Lock('bench', { namespace })),

  semaphore: ({ namespace }) => tryPairs(new Semaphore('bench', { namespace, permits: 4 })),

  acquire: ({ namespace }) => {
    const lock = new Lock('bench', { namespace });
    return async (count) => {
      for (let i = 0; i < count; i++) (await lock.acquire()).release();
    };
  },

  // As the middleware finds the lock of a name that was made from the request.
  keyedHot: ({ namespace }) => {
    const locks = keyedLocks(namespace);
    const names = Array.from({ length: HOT_KEYS }, (_, i) => `file:${i}`);
    return (count) => {
      for (let i = 0; i < count; i++)
        locks
          .get(names[i % HOT_KEYS])
          .tryAcquire()
          .release();
    };
  },

  keyedCold: ({ namespace }) => {
    const locks = keyedLocks(namespace);
    let next = 0;
    return async (count) => {
      for (let i = 0; i < count; i++) {
        locks.get(`file:${next++}`).tryAcquire().release();
        // Locks that nobody refers to any more are closed between the turns of the event loop, as in a server.
        if (i % TURN === 0) await nextTurn();
      }
    };
  },

  namedSemaphore: ({ namespace }) => {
    const semaphore = scratchSemaphore(namespace);
    return (count) => {
      for (let i = 0; i < count; i++) {
        if (!semaphore.tryWait()) throw new Error('the semaphore was not free');
        semaphore.post();
      }
    };
  },

  nativeCalls: ({ namespace }) => {
    const name = `/${namespace}`;
    const handle = addon().semOpen(name, 2, 0o600, 1);
    addon().semUnlink(name);
    const { semTryWait, semPost } = addon();
    return (count) => {
      for (let i = 0; i < count; i++) {
        if (semTryWait(handle) !== 0) throw new Error('the semaphore was not free');
        semPost(handle);
      }
    };
  },
};

export const waiting = {
  acquire: ({ namespace }) => {
    const lock = new Lock('bench', { namespace });
    return async () => {
      const held = await lock.acquire();
      return () => held.release();
    };
  },

  acquireSync: ({ namespace }) => {
    const lock = new Lock('bench', { namespace });
    return () => {
      const held = lock.acquireSync();
      return () => held.release();
    };
  },

  // It cannot be waited for from JavaScript, so it is asked every millisecond.
  namedSemaphore: ({ namespace }) => {
    const semaphore = NamedSemaphore.create(`/${namespace}`);
    return async () => {
      while (!semaphore.tryWait()) await new Promise((resolve) => setTimeout(resolve, 1));
      return () => semaphore.post();
    };
  },
};

function tryPairs(lock) {
  return (count) => {
    for (let i = 0; i < count; i++) lock.tryAcquire().release();
  };
}

function keyedLocks(namespace) {
  return new KeyedLocks((name) => new StoredLock('bench', name, { namespace, permits: 1, keyed: true }));
}

function scratchSemaphore(namespace) {
  const semaphore = NamedSemaphore.createExclusive(`/${namespace}`);
  NamedSemaphore.unlink(`/${namespace}`);
  return semaphore;
}
