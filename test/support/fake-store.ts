// A store that does what a test says.

import type { Grant, LockId, LockStore, StoreAbilities, StoreLock } from '../../src/store.js';

/** Whatever is not said is an error when it is called. */
export function fakeStore(
  lock: Partial<StoreLock> | ((id: LockId) => Partial<StoreLock>),
  can: Partial<StoreAbilities> = {},
): LockStore {
  return {
    name: 'fake',
    can: { sync: true, wait: true, share: true, steal: false, permits: true, ...can },
    open: (id) => ({
      acquire: () => Promise.reject(new Error('nobody said that this is waited for')),
      release: () => true,
      onLost: () => undefined,
      ...(typeof lock === 'function' ? lock(id) : lock),
    }),
  };
}

/** What such a store may grant. */
export const someGrant: Grant = { token: 1, abandoned: false, id: undefined };
