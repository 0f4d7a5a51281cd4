// A lock that its holder can take again, as code needs that takes a lock and calls other code that does the same.

import type { FileTarget } from './file-name.js';
import type { Hold } from './hold.js';
import { lockRules, type LockOptions } from './lock.js';
import { abortSignal, flag, integer, optionError, optionParser } from './options.js';
import { Ownership } from './ownership.js';
import { MAX_TIMER_MS, StoredLock } from './stored-lock.js';

/** Options of {@link RLock.acquireSync}. */
export interface RLockSyncOptions {
  /** How long to wait at most, in milliseconds; 0 is a try. Default: for as long as it takes. */
  timeoutMs?: number;
}

/** Options of {@link RLock.run} and {@link RLock.acquire}. */
export interface RLockOptions extends RLockSyncOptions {
  /** Ends the wait when it aborts. */
  signal?: AbortSignal;
  /** Do not wait: `null` when the lock is neither free nor this caller's. Default `false`. Not for `run`. */
  ifAvailable?: boolean;
}

const timeoutMs = integer(0, MAX_TIMER_MS);
const parseMakeOptions = optionParser<LockOptions>()(lockRules);
const parseSyncOptions = optionParser<RLockSyncOptions>()({ timeoutMs });
const parseOptions = optionParser<RLockOptions>()({ timeoutMs, signal: abortSignal(), ifAvailable: flag() });

/**
 * A reentrant lock between processes: its owner can take it again at once. It is free when its owner has released it as
 * often. It is what `multiprocessing.RLock` is to Python. The same name in the same namespace is the same lock as
 * that of {@link Lock}, which is not reentrant.
 *
 * The owner depends on how the lock was acquired:
 *
 * - {@link run}: the async context of its callback, as `AsyncLocalStorage` has it. All that the callback starts belongs to
 *   that context: tasks that it runs side by side do not exclude each other. A task that goes on after the callback has ended
 *   keeps the lock only if it has taken it itself. What is started elsewhere is another context.
 * - {@link tryAcquire} and {@link acquireSync}, outside of such a callback: the thread. Release before the next `await`:
 *   whatever runs in the thread meanwhile is the owner too.
 * - {@link acquire}, outside of such a callback: the code that has the {@link Hold}. A promise cannot mark the context
 *   that awaits it, so the lock cannot be taken again: a second `acquire()` waits forever. Use `run` for that.
 *
 * What an async context has acquired, only that context can release: elsewhere `release()` throws
 * `ERR_SEMLOCK_NOT_OWNER`. All holds of one owner have the same token.
 *
 * @example
 * ```ts
 * const ledger = new RLock('ledger');
 * const add = (entry: string) => ledger.run(() => rewrite(`data/${entry}`));
 * await ledger.run(async () => { await add('rent'); await add('wages'); });
 * ```
 */
export class RLock {
  readonly #lock: StoredLock;

  /**
   * @param name - any non-empty string; or `{ file: path }` for the lock of a file, which is the same in all apps.
   * @throws {@link SemlockError} `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`.
   */
  constructor(name: string | FileTarget, options?: LockOptions) {
    this.#lock = new StoredLock('new RLock()', name, { ...parseMakeOptions('new RLock()', options), permits: 1 });
  }

  /** The name as it was given. */
  get name(): string {
    return this.#lock.name;
  }

  /** The namespace: locks of the same name in different namespaces are different locks. */
  get namespace(): string {
    return this.#lock.namespace;
  }

  /** The name of its POSIX semaphore, for programs that call `sem_open` themselves, if one was given. */
  get posixName(): string | undefined {
    return this.#lock.posixName;
  }

  /**
   * Takes the lock if it is free or this caller's already, and returns at once.
   *
   * @returns `null` when another has it.
   * @throws {@link SemlockError} as {@link Lock.tryAcquire}.
   */
  tryAcquire(): Hold | null {
    return this.#again() ?? this.#forThread(this.#lock.tryAcquire());
  }

  /**
   * Takes the lock, and blocks this thread until it can. For scripts and worker threads: a server's event loop stands
   * still meanwhile, and with it all other async contexts of this thread, one of which may have the lock.
   *
   * @returns `null` when `timeoutMs` is over.
   * @throws {@link SemlockError} as {@link Lock.acquireSync}.
   */
  acquireSync(options?: RLockSyncOptions): Hold | null {
    const limits = parseSyncOptions('acquireSync()', options);
    return this.#again() ?? this.#forThread(this.#lock.acquireSync(limits));
  }

  /**
   * Takes the lock as soon as it is this caller's turn; at once within {@link run}.
   *
   * @throws {@link SemlockError} rejects as {@link Lock.acquire}.
   */
  acquire(options: RLockOptions & { ifAvailable: true }): Promise<Hold | null>;
  acquire(options?: RLockOptions & { ifAvailable?: false }): Promise<Hold>;
  acquire(options?: RLockOptions): Promise<Hold | null>;
  async acquire(options?: RLockOptions): Promise<Hold | null> {
    const limits = parseOptions('acquire()', options);
    limits.signal?.throwIfAborted();
    const key = this.#lock.key;
    const mine = Ownership.ofContext(key);
    if (mine !== undefined) return mine.enter();
    const hold = await this.#lock.acquire(limits);
    return hold === null ? null : Ownership.ofBearer(key, hold).enter();
  }

  /**
   * Acquires the lock, calls `work` with it, and releases it when the result has settled, whatever it is. Within `work`
   * it can be taken again.
   *
   * @returns what `work` returned.
   * @throws {@link SemlockError} rejects as {@link Lock.acquire}.
   */
  async run<T>(
    work: (hold: Hold) => T | PromiseLike<T>,
    options?: RLockOptions & { ifAvailable?: false },
  ): Promise<Awaited<T>> {
    const { ifAvailable, ...limits } = parseOptions('run()', options);
    if (ifAvailable === true) throw optionError('run()', 'ifAvailable', true, 'absent: run() has nothing to call then');
    limits.signal?.throwIfAborted();
    const key = this.#lock.key;
    const mine = Ownership.ofContext(key);
    if (mine !== undefined) return await mine.enter().during(work);
    return await Ownership.inContext(key, await this.#lock.acquire(limits), (fresh) => fresh.enter().during(work));
  }

  /** For the synchronous calls. */
  #again(): Hold | undefined {
    const key = this.#lock.key;
    return (Ownership.ofContext(key) ?? Ownership.ofThread(key))?.enter();
  }

  #forThread(hold: Hold | null): Hold | null {
    return hold === null ? null : Ownership.inThread(this.#lock.key, hold).enter();
  }
}
