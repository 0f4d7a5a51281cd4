// The store of each lock that is not given one.

import { describe, SemlockError } from './errors.js';
import type { OptionRule } from './options.js';
import type { LockStore } from './store.js';
import { processStore } from './stores/process/process-store.js';

let chosen: LockStore | undefined;
let used = false;

/**
 * Makes `store` the store of all locks of this thread that are not given one. Call it once, before the first of these locks
 * is used; they may have been made before.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_STORE` when the default was used or chosen already, `ERR_SEMLOCK_OPTION` when
 * `store` is no store.
 *
 * @example
 * ```ts
 * if (process.platform !== 'linux') setDefaultStore(memoryStore());
 * ```
 */
export function setDefaultStore(store: LockStore): void {
  if (!isStore(store)) {
    const message = `setDefaultStore(): ${storeOption.accepts} is needed, but ${describe(store)} was given`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
  if (chosen === store) return;
  if (used || chosen !== undefined) {
    const why = used ? 'locks of the default store are in use already' : `it was called before, with "${chosen?.name}"`;
    throw new SemlockError(
      'ERR_SEMLOCK_STORE',
      `setDefaultStore(): ${why}; call it once, before the first lock is used`,
    );
  }
  chosen = store;
}

/** The default, from now on for good. */
export function defaultStore(): LockStore {
  used = true;
  return chosen ?? processStore;
}

/** The option `store`. */
export const storeOption: OptionRule<LockStore | undefined> = {
  accepts: 'a store, as processStore or what memoryStore() returns',
  fallback: undefined,
  test: isStore,
};

function isStore(value: unknown): value is LockStore {
  const store = value as Partial<LockStore> | null | undefined;
  return typeof store?.open === 'function' && typeof store.name === 'string' && typeof store.can === 'object';
}
