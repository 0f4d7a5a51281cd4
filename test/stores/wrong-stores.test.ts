// The suite is worth something because stores that are wrong fail it, each in the tests that are about that.

import { setMaxListeners } from 'node:events';

import { describe, expect, it } from 'vitest';

import { testStore } from '../../src/conformance/index.js';
import type { LockStore, StoreLock } from '../../src/store.js';
import { memoryStore } from '../../src/stores/memory/memory-store.js';

/** A store in memory of which each lock is changed. */
function changed(change: (lock: StoreLock) => Partial<StoreLock>): LockStore {
  const right = memoryStore();
  return {
    ...right,
    open: (id) => {
      const lock = right.open(id);
      const whole: StoreLock = {
        trySync: (mode) => lock.trySync!(mode),
        acquireSync: (mode, waitMs) => lock.acquireSync!(mode, waitMs),
        acquire: (want) => lock.acquire(want),
        release: (grant, unused) => lock.release(grant, unused),
        onLost: (grant, tell) => lock.onLost(grant, tell),
        available: () => lock.available!(),
      };
      return { ...whole, ...change(whole) };
    },
  };
}

/** The tests that a store does not pass; those that have not ended by then are among them. */
async function failuresOf(store: LockStore, lateMs = 2_000): Promise<string[]> {
  const tests: { name: string; test: () => Promise<void> }[] = [];
  testStore({
    store: () => store,
    describe: (_name, define) => define(),
    it: (name, test) => tests.push({ name, test }),
  });
  const failed = await Promise.all(
    tests.map(async ({ name, test }) => {
      const late = new Promise((_, reject) => setTimeout(() => reject(new Error('late')), lateMs).unref());
      return Promise.race([test(), late]).then(
        () => [],
        () => [name],
      );
    }),
  );
  return failed.flat();
}

const wrong: Record<string, { store: LockStore; fails: string }> = {
  'lets everybody in': {
    store: changed((lock) => {
      let token = 0;
      const have = () => ({ token: (token += 1), abandoned: false, id: undefined });
      return {
        ...lock,
        trySync: have,
        acquireSync: have,
        acquire: () => Promise.resolve(have()),
        release: () => true,
        onLost: () => undefined,
      };
    }),
    fails: 'one holder at a time has a lock',
  },
  'counts its tokens down': {
    store: changed((lock) => ({
      trySync: (mode) => {
        const grant = lock.trySync!(mode);
        return grant && { token: Number.MAX_SAFE_INTEGER - grant.token, abandoned: false, id: grant.id };
      },
    })),
    fails: 'tokens are safe integers that grow from holder to holder',
  },
  'takes one name for another': {
    store: (() => {
      const right = memoryStore();
      return { ...right, open: (id) => right.open({ ...id, name: id.name.normalize() }) };
    })(),
    fails: 'names that differ in any code unit, and namespaces, are different locks',
  },
  'forgets to release': {
    store: changed(() => ({ release: () => true })),
    fails: 'only the first release counts',
  },
  'serves the last one first': {
    store: changed((lock) => {
      const waiting: (() => void)[] = [];
      return {
        acquire: (want) =>
          new Promise((resolve) => {
            const grant = want.steal === true ? null : lock.trySync!(want.mode);
            if (grant !== null) resolve(grant);
            else waiting.push(() => resolve(lock.trySync!(want.mode)));
          }),
        release: (grant, unused) => {
          const released = lock.release(grant, unused);
          waiting.pop()?.();
          return released;
        },
      };
    }),
    fails: 'those who wait are served in the order in which they came',
  },
  'keeps what is granted to one who has gone': {
    store: changed((lock) => ({
      acquire: ({ signal, ...want }) =>
        new Promise((resolve, reject) => {
          if (signal !== undefined) setMaxListeners(0, signal);
          signal?.addEventListener('abort', () => reject(signal.reason as Error));
          lock.acquire(want).then(resolve, reject);
        }),
    })),
    fails: 'a wait that is aborted rejects with the reason, and those behind it are served',
  },
  'waits longer than it may': {
    store: changed((lock) => ({
      acquire: ({ waitMs, ...want }) => lock.acquire(waitMs === 0 ? { ...want, waitMs } : want),
    })),
    fails: 'a wait ends when its time is over, not before, and leaves nothing behind',
  },
  'tells nobody of a theft': {
    store: changed(() => ({ onLost: () => undefined })),
    fails: 'the robbed holder is told, and its release changes nothing',
  },
  'takes a stolen lock back': {
    store: changed((lock) => ({ release: (grant, unused) => lock.release(grant, unused) || true })),
    fails: 'a loss that nobody watched for is found by the release',
  },
};

describe('A store fails the suite that', () => {
  it.each(Object.entries(wrong))('%s', async (_what, { store, fails }) => {
    expect(await failuresOf(store)).toContain(fails);
  });

  it('is right passes it (control)', async () => {
    expect(
      await failuresOf(
        changed(() => ({})),
        15_000,
      ),
    ).toEqual([]); // on a machine that may be busy
  });
});
