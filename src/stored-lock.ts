// What Lock, Semaphore and all forms of locks share: a name in a namespace, a number of permits, and a store in which that
// is a lock. It says what is held, what is refused and what observers are told; the rest is the store's.

import { atLeastRule } from './at-least.js';
import { defaultStore } from './default-store.js';
import { describe, SemlockError } from './errors.js';
import { FILE_NAMESPACE, fileLockName, type FileTarget } from './file-name.js';
import { Hold } from './hold.js';
import { checkLockName, checkPosixName } from './names.js';
import { defaultNamespace } from './namespace.js';
import { channels, publish, since, waitBegins } from './observe/channels.js';
import { abortSignal, flag, integer, oneOf, optionError, optionParser } from './options.js';
import { checkOwners, ownersKey, type LockOwners } from './owners.js';
import type { Grant, LockMode, LockStore, StoreLock, Want } from './store.js';

/** Options of a try. */
export interface TryOptions {
  /** `'shared'`: together with other readers, but with no exclusive holder. Default `'exclusive'`. */
  mode?: LockMode;
}

/** Options of a wait that blocks the thread. */
export interface AcquireSyncOptions extends TryOptions {
  /** How long to wait at most, in milliseconds; 0 is a try. Default: for as long as it takes. */
  timeoutMs?: number;
}

/** Options of a wait. */
export interface AcquireOptions extends AcquireSyncOptions {
  /** Ends the wait when it aborts. */
  signal?: AbortSignal;
  /** Do not wait: `null` when the lock is not free. Default `false`. */
  ifAvailable?: boolean;
}

/** Options of {@link StoredLock.run}. */
export interface RunOptions extends AcquireOptions {
  /**
   * How long the lock is held at least, in milliseconds, even if the work ends sooner; the process stays alive until then. So
   * a job that several processes start at one time runs once, if their clocks differ by less. Default 0.
   */
  atLeastMs?: number;
}

/** The longest time that a timer of Node.js can have, some 24 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const tryRules = { mode: oneOf<LockMode>(['exclusive', 'shared'], 'exclusive') };
const acquireSyncRules = { ...tryRules, timeoutMs: integer(0, MAX_TIMER_MS) };
const parseTryOptions = optionParser<TryOptions>()(tryRules);
const parseAcquireSyncOptions = optionParser<AcquireSyncOptions>()(acquireSyncRules);
const acquireRules = { ...acquireSyncRules, signal: abortSignal(), ifAvailable: flag() };
const parseAcquireOptions = optionParser<AcquireOptions>()(acquireRules);
const parseRunOptions = optionParser<RunOptions>()({ ...acquireRules, atLeastMs: atLeastRule });

/** What a lock is made with, checked. */
export interface StoredLockOptions extends LockOwners {
  readonly namespace?: string | undefined;
  readonly permits: number;
  readonly store?: LockStore | undefined;
  readonly posixName?: string | undefined;
  /** Whether it is one of many names that are made while the program runs. Its owner calls {@link StoredLock.close}. */
  readonly keyed?: boolean;
  /** Whether the name may be empty, as in the Web Locks API. */
  readonly allowEmptyName?: boolean;
}

/** What {@link Lock} and {@link Semaphore} have in common. */
export class StoredLock {
  /** The name as it was given. */
  readonly name: string;
  /** The namespace: locks of the same name in different namespaces are different locks, except with a {@link posixName}. */
  readonly namespace: string;
  /** How many can hold it at once. */
  readonly permits: number;
  /**
   * The name of its POSIX semaphore, for programs that call `sem_open` themselves, if one was given. Without it no other
   * program can take part: a semaphore that semlock makes for itself has a secret name.
   */
  readonly posixName: string | undefined;
  readonly #owner: string;
  readonly #options: StoredLockOptions;
  #lock: StoreLock | undefined;
  #key: string | undefined;

  /** @internal */
  constructor(owner: string, target: string | FileTarget, options: StoredLockOptions) {
    const { namespace, permits, posixName, store, allowEmptyName = false } = options;
    const ofFile = isFile(target);
    const name = ofFile ? fileLockName(owner, target.file) : target;
    if (!allowEmptyName) checkLockName(owner, name);
    if (posixName !== undefined) checkPosixName(owner, posixName);
    if (ofFile && namespace !== undefined) {
      throw optionError(owner, 'namespace', namespace, 'absent with a file, whose lock is the same in all apps');
    }
    checkOwners(owner, options);
    if (store !== undefined) checkStore(owner, store, options);
    this.name = name;
    this.namespace = ofFile ? FILE_NAMESPACE : (namespace ?? defaultNamespace());
    this.permits = permits;
    this.posixName = posixName;
    this.#owner = owner;
    this.#options = options;
  }

  /**
   * The store that this lock lives in.
   *
   * @internal
   */
  get store(): LockStore {
    return this.#options.store ?? defaultStore();
  }

  /**
   * Whether it answers at once: {@link tryAcquire} and {@link acquireSync}.
   *
   * @internal
   */
  get isSync(): boolean {
    return this.opened.trySync !== undefined;
  }

  /**
   * What tells this lock from all others in this thread.
   *
   * @internal
   */
  get key(): string {
    return (this.#key ??= `${numberOf(this.store)}\0${this.#identity}`);
  }

  /**
   * What puts locks in the same order in all processes.
   *
   * @internal
   */
  get order(): string {
    const { posixName, store } = this;
    return posixName === undefined ? `${store.name}\0${this.#identity}` : this.#identity;
  }

  /**
   * Whose it is, in words of this package; empty for this user's.
   *
   * @internal
   */
  get owners(): string {
    return ownersKey(this.#options);
  }

  get #identity(): string {
    const { posixName, namespace, name } = this;
    const { owners } = this;
    const identity = posixName === undefined ? `${namespace}\0${name}` : `\0${posixName}`;
    return owners === '' ? identity : `${owners}\0${identity}`;
  }

  /**
   * Takes a permit if one is free, and returns at once. A permit whose holder died counts as free. No waiter is
   * overtaken: while there is one, no permit counts as free.
   *
   * @returns the permit, or `null` when all are held.
   * @throws {@link SemlockError} when the lock cannot be taken for another reason, for example without `/dev/shm`
   * (`ERR_SEMLOCK_SYSTEM`), when others use it with another number of permits (`ERR_SEMLOCK_MISMATCH`), or when its store has
   * to be asked first (`ERR_SEMLOCK_STORE`: then await {@link acquire} with `ifAvailable`).
   */
  tryAcquire(options?: TryOptions): Hold | null {
    const mode =
      options === undefined ? 'exclusive' : this.modeOf('tryAcquire()', parseTryOptions('tryAcquire()', options));
    const lock = this.opened;
    if (lock.trySync === undefined) throw this.#notSync('tryAcquire()', '{ ifAvailable: true }');
    const grant = lock.trySync(mode);
    if (grant !== null) return this.hold(grant, mode, 0);
    publish(channels.busy, this, mode, undefined, 0);
    return null;
  }

  /**
   * Takes a permit as soon as it is this caller's turn. The waits of one process are served in the order in which they came;
   * where several processes wait, they take turns, one wait each. The event loop goes on meanwhile, and the death of a holder
   * is usually noticed at once.
   *
   * The lock is not reentrant: a holder that waits for its own lock waits forever, or until `timeoutMs`.
   *
   * @returns the permit; with `ifAvailable` `null` when it is not free.
   * @throws {@link SemlockError} rejects with `ERR_SEMLOCK_TIMEOUT` after `timeoutMs`, with `signal.reason` when that
   * aborts, or as {@link tryAcquire}.
   */
  acquire(options: AcquireOptions & { ifAvailable: true }): Promise<Hold | null>;
  acquire(options?: AcquireOptions & { ifAvailable?: false }): Promise<Hold>;
  acquire(options?: AcquireOptions): Promise<Hold | null>;
  acquire(options?: AcquireOptions): Promise<Hold | null> {
    if (options === undefined) {
      // The quick way to a lock that is free: without the closures of what follows.
      try {
        const grant = this.opened.trySync?.('exclusive') ?? null;
        if (grant !== null) return Promise.resolve(this.hold(grant, 'exclusive', 0));
      } catch (error) {
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- As it was thrown.
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      const parsed = parseAcquireOptions('acquire()', options);
      const { timeoutMs, signal, ifAvailable = false } = parsed;
      const mode = this.modeOf('acquire()', parsed);
      if (ifAvailable && timeoutMs !== undefined && timeoutMs > 0) {
        throw optionError('acquire()', 'timeoutMs', timeoutMs, '0 or absent beside ifAvailable, which does not wait');
      }
      signal?.throwIfAborted();
      const grant = this.opened.trySync?.(mode) ?? null;
      if (grant !== null) resolve(this.hold(grant, mode, 0));
      else this.#ask({ mode, signal, waitMs: ifAvailable ? 0 : timeoutMs }, ifAvailable, resolve, reject);
    });
  }

  /**
   * As {@link acquire}, for the Web Locks API: one of the two is called, at once where the lock is free.
   *
   * @internal
   */
  request(want: Want, ifAvailable: boolean, resolve: (hold: Hold | null) => void, reject: Reject): void {
    const mode = this.modeOf('locks.request()', want);
    const grant = want.steal === true ? null : (this.opened.trySync?.(mode) ?? null);
    if (grant !== null) resolve(this.hold(grant, mode, 0));
    else this.#ask(want, ifAvailable, resolve, reject);
  }

  /**
   * Takes a permit, and blocks this thread until it can. For scripts and worker threads: a server's event loop stands
   * still meanwhile.
   *
   * @returns the permit, or `null` when `timeoutMs` is over. Without it this waits for as long as it takes.
   * @throws {@link SemlockError} as {@link tryAcquire}; `ERR_SEMLOCK_DEADLOCK` without `timeoutMs` when this thread holds
   * the lock itself, or waits for it with {@link acquire}: that wait comes first, and cannot end while the thread blocks.
   */
  acquireSync(options?: AcquireSyncOptions): Hold | null {
    const parsed = parseAcquireSyncOptions('acquireSync()', options);
    const { timeoutMs } = parsed;
    const mode = this.modeOf('acquireSync()', parsed);
    const lock = this.opened;
    if (lock.acquireSync === undefined)
      throw this.#notSync('acquireSync()', timeoutMs === 0 ? '{ ifAvailable: true }' : '');
    let grant = lock.acquireSync(mode, 0);
    if (grant !== null) return this.hold(grant, mode, 0);
    if (timeoutMs === 0) {
      publish(channels.busy, this, mode, undefined, 0);
      return null;
    }
    const beginning = waitBegins();
    grant = lock.acquireSync(mode, timeoutMs);
    return this.#waited(grant, mode, since(beginning));
  }

  /**
   * Acquires a permit as {@link acquire} does, calls `work` with it, and releases it when the result has settled,
   * whatever it is.
   *
   * @returns what `work` returned; with `ifAvailable` `undefined` when the lock is not free, and `work` is not called.
   * @throws rejects as {@link acquire} does, with what `work` throws, or with a `TypeError` when that is no function; with
   * `ERR_SEMLOCK_LOST` when the lock was lost before `work` ended: see {@link Hold.signal}.
   */
  run<T>(work: (hold: Hold) => T | PromiseLike<T>, options?: RunOptions & { ifAvailable?: false }): Promise<Awaited<T>>;
  run<T>(work: (hold: Hold) => T | PromiseLike<T>, options: RunOptions): Promise<Awaited<T> | undefined>;
  async run<T>(work: (hold: Hold) => T | PromiseLike<T>, options?: RunOptions): Promise<Awaited<T> | undefined> {
    if (typeof work !== 'function') {
      throw new TypeError(`run(): the work must be a function, but ${describe(work)} was given`);
    }
    if (options === undefined) return await (await this.acquire()).during(work);
    const { atLeastMs, ...limits } = parseRunOptions('run()', options);
    const hold = await this.acquire(limits);
    return await hold?.during(work, atLeastMs);
  }

  /** How many permits are free at this moment; another process may take them before you look. */
  get available(): number {
    const lock = this.opened;
    if (lock.available === undefined) throw this.#unable('has to be asked: await locks.query()');
    return lock.available();
  }

  /**
   * See {@link StoreLock.proofOfLife}; `undefined` where the store has none.
   *
   * @internal
   */
  proofOfLife(): number | undefined {
    return this.opened.proofOfLife?.();
  }

  /**
   * Frees what the store has open for it. What is held or waited for stays so, and this can be used again.
   *
   * @internal
   */
  close(): void {
    this.#lock?.close?.();
  }

  /**
   * What the store has for it, opened when it is first needed.
   *
   * @internal
   */
  get opened(): StoreLock {
    return this.#lock ?? this.#open();
  }

  #open(): StoreLock {
    const { store, name, namespace, permits, posixName } = this;
    const { keyed = false, user, group } = this.#options;
    checkStore(this.#owner, store, this.#options);
    return (this.#lock = store.open({ namespace, name, permits, keyed, posixName, user, group }));
  }

  private modeOf(owner: string, { mode }: { mode: LockMode }): LockMode {
    if (mode === 'exclusive') return mode;
    if (this.permits > 1) throw optionError(owner, 'mode', mode, `'exclusive' for a lock with ${this.permits} permits`);
    if (this.store.can.share) return mode;
    throw optionError(owner, 'mode', mode, `'exclusive' in the store "${this.store.name}", which cannot share`);
  }

  #ask(want: Want, ifAvailable: boolean, resolve: (hold: Hold | null) => void, reject: Reject): void {
    const { mode, waitMs } = want;
    const lock = this.opened;
    const waits = waitMs !== 0 && want.steal !== true;
    if (!waits && lock.trySync !== undefined && want.steal !== true) {
      this.#answered(null, mode);
      if (ifAvailable) resolve(null);
      else reject(this.#timeout(0));
      return;
    }
    if (waits && !this.store.can.wait) {
      throw this.#unable('cannot wait: try again later, with acquire({ ifAvailable: true })');
    }
    const beginning = waitBegins();
    lock.acquire(want).then(
      (grant) => {
        const hold = waits ? this.#waited(grant, mode, since(beginning)) : this.#answered(grant, mode);
        if (hold !== null || ifAvailable) resolve(hold);
        else reject(this.#timeout(waitMs ?? 0));
      },
      (error: unknown) => {
        if (waits) publish(channels.waited, this, mode, undefined, since(beginning));
        reject(error);
      },
    );
  }

  #answered(grant: Grant | null, mode: LockMode): Hold | null {
    if (grant !== null) return this.hold(grant, mode, 0);
    publish(channels.busy, this, mode, undefined, 0);
    return null;
  }

  #waited(grant: Grant | null, mode: LockMode, waitedMs: number | undefined): Hold | null {
    const hold = grant === null ? null : this.hold(grant, mode, waitedMs);
    if (hold === null) publish(channels.busy, this, mode, undefined, waitedMs);
    publish(channels.waited, this, mode, hold?.token, waitedMs);
    return hold;
  }

  private hold(grant: Grant, mode: LockMode, waitedMs: number | undefined): Hold {
    publish(channels.acquired, this, mode, grant.token, waitedMs);
    if (grant.abandoned) publish(channels.abandoned, this, mode, grant.token, waitedMs);
    return new Hold(this, mode, grant);
  }

  #timeout(timeoutMs: number): SemlockError {
    const message = `the lock "${this.name}" was not free within ${timeoutMs} ms`;
    return new SemlockError('ERR_SEMLOCK_TIMEOUT', message, { lockName: this.name });
  }

  #notSync(call: string, options: string): SemlockError {
    return this.#unable(`cannot answer at once: await acquire(${options}) in place of ${call}`);
  }

  #unable(what: string): SemlockError {
    const message = `the store "${this.store.name}" of the lock "${this.name}" ${what}`;
    return new SemlockError('ERR_SEMLOCK_STORE', message, { lockName: this.name });
  }
}

type Reject = (reason: unknown) => void;

/** Refuses at once what the store says that it cannot do. */
function checkStore(owner: string, { name, can }: LockStore, options: StoredLockOptions): void {
  const { permits, posixName, user, group } = options;
  const accepts = (value: string) => `${value} in the store "${name}"`;
  if (permits > 1 && !can.permits) throw optionError(owner, 'permits', permits, accepts('1 or absent'));
  if (can.owners !== true) {
    if (user !== undefined) throw optionError(owner, 'user', user, accepts('absent'));
    if (group !== undefined) throw optionError(owner, 'group', group, accepts('absent'));
  }
  if (posixName !== undefined && can.foreign !== true) {
    throw optionError(owner, 'posixName', posixName, accepts('absent'));
  }
}

function isFile(target: unknown): target is FileTarget {
  return typeof target === 'object' && target !== null && 'file' in target;
}

/** Whether an acquire failed because its time was over. */
export function isTimeout(error: unknown): boolean {
  return error instanceof SemlockError && error.code === 'ERR_SEMLOCK_TIMEOUT';
}

/** Numbers of the stores, for {@link StoredLock.key}. */
const storeNumbers = new WeakMap<LockStore, number>();
let stores = 0;

function numberOf(store: LockStore): number {
  let number = storeNumbers.get(store);
  if (number === undefined) storeNumbers.set(store, (number = stores += 1));
  return number;
}
