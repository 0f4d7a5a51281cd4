// Mutual exclusion between processes: one permit.

import { storeOption } from './default-store.js';
import type { FileTarget } from './file-name.js';
import { optionParser, text } from './options.js';
import { ownersRules, type OwnersOptions } from './owners.js';
import type { LockStore } from './store.js';
import { StoredLock } from './stored-lock.js';

/** Options of {@link Lock}. */
export interface LockOptions extends OwnersOptions {
  /** Keeps the locks of one app apart from those of others. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
  /**
   * The POSIX name of the semaphore, to share it with programs in other languages, which take and post it by themselves:
   * a slash and up to 251 bytes. It is the lock then, whatever its name and namespace. A permit that is missing without a
   * known holder is left alone, because it may be theirs.
   */
  posixName?: string;
  /** Where the lock lives. Default: between all processes of this machine, or what `setDefaultStore()` says. */
  store?: LockStore;
}

/** One rule for each of {@link LockOptions}. */
export const lockRules = { namespace: text(), posixName: text(), ...ownersRules, store: storeOption };
const parseLockOptions = optionParser<LockOptions>()(lockRules);

/**
 * A lock that one holder at a time can have, in all processes of this user on this machine. The same name in the same
 * namespace is the same lock. It is what `multiprocessing.Lock` is to Python.
 *
 * It is not reentrant: a second try of the holder is refused, too.
 *
 * @example
 * ```ts
 * const held = new Lock('ledger').tryAcquire();
 * if (held) {
 *   try { await rewriteLedger(); } finally { held.release(); }
 * }
 * ```
 */
export class Lock extends StoredLock {
  /**
   * @param name - any non-empty string; or `{ file: path }` for the lock of a file, which is the same in all apps.
   * @throws {@link SemlockError} `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`.
   */
  constructor(name: string | FileTarget, options?: LockOptions) {
    super('new Lock()', name, { ...parseLockOptions('new Lock()', options), permits: 1 });
  }
}
