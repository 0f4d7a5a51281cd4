// A bounded number of holders between processes.

import type { FileTarget } from './file-name.js';
import { lockRules, type LockOptions } from './lock.js';
import { integer, optionError, optionParser } from './options.js';
import { StoredLock } from './stored-lock.js';

/** Options of {@link Semaphore}. */
export interface SemaphoreOptions extends LockOptions {
  /** How many can hold it at once, 1 to 1 024. All users of a name must give the same number. */
  permits: number;
}

/** The most permits that a semaphore can have. */
export const MAX_PERMITS = 1024;

const parseSemaphoreOptions = optionParser<SemaphoreOptions>()({
  ...lockRules,
  permits: integer(1, MAX_PERMITS),
});

/**
 * A semaphore that up to `permits` holders can have at a time, in all processes of this user on this machine. It is
 * what `multiprocessing.BoundedSemaphore` is to Python: only a holder can give a permit back, so the number of free
 * permits never exceeds `permits`. For a semaphore that anyone may post see {@link NamedSemaphore}.
 *
 * @example
 * ```ts
 * const thumbnails = new Semaphore('thumbnails', { permits: 4 });
 * await thumbnails.run(() => renderThumbnail(file));
 * ```
 */
export class Semaphore extends StoredLock {
  /**
   * @param name - any non-empty string; or `{ file: path }` for the lock of a file, which is the same in all apps.
   * @throws {@link SemlockError} `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`.
   */
  constructor(name: string | FileTarget, options: SemaphoreOptions) {
    const { permits, ...shared } = parseSemaphoreOptions('new Semaphore()', options);
    if (permits === undefined) {
      throw optionError('new Semaphore()', 'permits', permits, `a whole number from 1 to ${MAX_PERMITS}`);
    }
    super('new Semaphore()', name, { ...shared, permits });
  }
}
