// What Lock and Semaphore share: a name in a namespace, a number of permits, and a try that never waits. The engine
// behind it is described in native/README.md.

import { channels, holdBegins, publish, since, waitBegins } from '../diagnostics.js';
import { describe, SemlockError } from '../errors.js';
import { defaultNamespace } from '../namespace.js';
import { checkLockName, checkPosixName, digest, namespaceId, posixNamespaceId } from '../names.js';
import { attempt, BUSY, EDEADLK, failureOf, lockResult, native, release, tryAcquire, type Handle } from '../native.js';
import { abortSignal, integer, oneOf, optionError, optionParser } from '../options.js';
import { forgetAbort, onAbort } from './abort.js';
import { listen, subscribe, unlisten } from './events.js';
import { HeldOnce, type Declinable, type Held, type LockMode } from './held.js';
import { cancel, enqueue, isWaitedFor, type WaitRequest } from './wait-queue.js';

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
}

/** The longest time that a timer of Node.js can have, some 24 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

const tryRules = { mode: oneOf<LockMode>(['exclusive', 'shared'], 'exclusive') };
const acquireSyncRules = { ...tryRules, timeoutMs: integer(0, MAX_TIMER_MS) };
const parseTryOptions = optionParser<TryOptions>()(tryRules);
const parseAcquireSyncOptions = optionParser<AcquireSyncOptions>()(acquireSyncRules);
const parseAcquireOptions = optionParser<AcquireOptions>()({ ...acquireSyncRules, signal: abortSignal() });

const NATIVE_MODE = { exclusive: 0, shared: 1 } as const;

/** What a lock is made with, checked. */
export interface NamedLockOptions {
  readonly namespace?: string | undefined;
  readonly permits: number;
  readonly posixName?: string | undefined;
  readonly foreign?: boolean | undefined;
  /** `false` for one of many computed names, which has no semaphore of its own in the file system. */
  readonly named?: boolean;
  /** Whether the name may be empty, as in the Web Locks API. */
  readonly allowEmptyName?: boolean;
}

export class NamedLock {
  /** The name as it was given. */
  readonly name: string;
  /** The namespace: locks of the same name in different namespaces are different locks, but for a {@link posixName}. */
  readonly namespace: string;
  /** How many can hold it at once. */
  readonly permits: number;
  /** Whether programs that call `sem_open` themselves may take part. */
  readonly foreign: boolean;
  readonly #key: string;
  readonly #customName: string;
  readonly #named: boolean;
  #handle: Handle | undefined;
  #closesByHand = false;

  /** @internal */
  constructor(owner: string, name: string, options: NamedLockOptions) {
    const { namespace, permits, posixName, foreign, named = true, allowEmptyName = false } = options;
    if (!allowEmptyName) checkLockName(owner, name);
    if (posixName !== undefined) checkPosixName(owner, posixName);
    if (posixName !== undefined && foreign === false) {
      throw optionError(owner, 'foreign', foreign, 'true or absent with a posixName, which others can open');
    }
    this.name = name;
    this.namespace = namespace ?? defaultNamespace();
    this.permits = permits;
    this.#key = posixName === undefined ? `${this.namespace}\0${name}` : `\0${posixName}`;
    this.foreign = foreign ?? posixName !== undefined;
    this.#customName = posixName ?? '';
    this.#named = named;
  }

  /** The name of the POSIX semaphore behind it, for programs that call `sem_open` themselves. */
  get posixName(): string {
    if (this.#customName !== '') return this.#customName;
    return native.lockSemaphoreName(namespaceId(this.namespace), digest(this.name));
  }

  /**
   * Takes a permit if one is free, and returns at once. A permit whose holder died counts as free. Nobody who waits is
   * overtaken: while somebody does, none is free.
   *
   * @returns the permit, or `null` when all are held.
   * @throws {@link SemlockError} when the lock cannot be had for another reason, for example without `/dev/shm`
   * (`ERR_SEMLOCK_SYSTEM`), or when others use it with another number of permits (`ERR_SEMLOCK_MISMATCH`).
   */
  tryAcquire(options?: TryOptions): Held | null {
    const mode =
      options === undefined ? 'exclusive' : this.#modeOf('tryAcquire()', parseTryOptions('tryAcquire()', options));
    const held = this.#heldOrNull(tryAcquire(this.handle, NATIVE_MODE[mode]), mode, 0);
    if (held === null) publish(channels.busy, this, mode, undefined, 0);
    return held;
  }

  /**
   * Takes a permit as soon as it is this caller's turn. Those who wait are served in the order in which they came;
   * several waits of one process take one turn each among the processes. The event loop goes on, and a death of the
   * holder is found within some 20 ms.
   *
   * The lock is not reentrant: a holder that waits for its own lock waits for ever, or until `timeoutMs`.
   *
   * @throws {@link SemlockError} rejects with `ERR_SEMLOCK_TIMEOUT` after `timeoutMs`, with `signal.reason` when that
   * aborts, or as {@link tryAcquire}.
   */
  acquire(options?: AcquireOptions): Promise<Held> {
    return this.#acquire('acquire()', options, false);
  }

  /**
   * As {@link acquire}, but each of these stands in the queue between processes by itself: they are served in the order
   * in which they came in all processes, and `query()` shows them.
   *
   * @internal
   */
  acquireInOrder(options: AcquireOptions): Promise<Held> {
    return this.#acquire('locks.request()', options, true);
  }

  /**
   * Takes a permit, and blocks this thread until it can. For scripts and worker threads: a server's event loop stands
   * still meanwhile.
   *
   * @returns the permit, or `null` when `timeoutMs` is over. Without it this waits for as long as it takes.
   * @throws {@link SemlockError} as {@link tryAcquire}; `ERR_SEMLOCK_DEADLOCK` without `timeoutMs` when this thread holds
   * the lock itself, or waits for it with {@link acquire}: that comes first, and cannot go on while the thread blocks.
   */
  acquireSync(options?: AcquireSyncOptions): Held | null {
    const parsed = parseAcquireSyncOptions('acquireSync()', options);
    const { timeoutMs } = parsed;
    const mode = this.#modeOf('acquireSync()', parsed);
    const held = this.#heldOrNull(tryAcquire(this.handle, NATIVE_MODE[mode]), mode, 0);
    if (held !== null) return held;
    if (timeoutMs === undefined && isWaitedFor(this.#key)) throw failureOf(EDEADLK, 'acquire', this.name, 'DEADLOCK');
    if (timeoutMs !== 0) return this.#waitSync(mode, timeoutMs ?? -1);
    publish(channels.busy, this, mode, undefined, 0);
    return null;
  }

  /**
   * Takes the lock from whoever holds it, and before all who wait. The robbed holders' `signal` aborts, in this thread
   * before this returns; their release changes nothing any more.
   *
   * @returns `null` when another program, or a process that is stopped while it changes the lock, is in the way.
   * @internal
   */
  steal(): Held | null {
    const robbed = watchingHolds.of(this.#key);
    const held = this.#heldOrNull(native.lockSteal(this.handle), 'exclusive', 0);
    if (held !== null) for (const each of robbed) each.wasStolen();
    return held;
  }

  /**
   * Acquires a permit as {@link acquire} does, calls `work` with it, and releases it when the result has settled,
   * whatever it is.
   *
   * @returns what `work` returned.
   * @throws rejects as {@link acquire} does, with what `work` throws, or with a `TypeError` when that is no function.
   */
  async run<T>(work: (held: Held) => T | PromiseLike<T>, options?: AcquireOptions): Promise<Awaited<T>> {
    if (typeof work !== 'function') {
      throw new TypeError(`run(): the work must be a function, but ${describe(work)} was given`);
    }
    const held = await this.acquire(options);
    try {
      return await work(held);
    } finally {
      held.release();
    }
  }

  /** How many permits are free at this moment; another process may take them before you look. */
  get available(): number {
    return attempt(this.name, () => native.lockAvailable(this.handle));
  }

  /**
   * What the addon has for it, opened when it is first needed. It must not be kept: see {@link close}.
   *
   * @internal
   */
  get handle(): Handle {
    return this.#handle ?? this.#open();
  }

  /**
   * What tells this lock from all others in this thread.
   *
   * @internal
   */
  get key(): string {
    return this.#key;
  }

  /**
   * For an owner that calls {@link close} when it is done with this. To leave that to the garbage collector costs a lock
   * that is used once half of its time, and keeps its memory for long.
   *
   * @internal
   */
  closeByHand(): void {
    if (this.#handle === undefined) this.#closesByHand = true;
  }

  /**
   * Ends {@link closeByHand}, and frees what the addon has open. While this thread holds the lock or waits for it, that
   * is left to the garbage collector after all. Who still has this object can go on using it.
   *
   * @internal
   */
  close(): void {
    const handle = this.#handle;
    if (!this.#closesByHand) return;
    this.#closesByHand = false;
    if (handle === undefined) return;
    if (!isWaitedFor(this.#key) && native.lockClose(handle)) this.#handle = undefined;
    else forgotten.register(this, handle);
  }

  #modeOf(owner: string, { mode }: { mode: LockMode }): LockMode {
    if (mode === 'exclusive' || this.permits === 1) return mode;
    throw optionError(owner, 'mode', mode, `'exclusive' for a lock with ${this.permits} permits`);
  }

  #acquire(owner: string, options: AcquireOptions | undefined, ownPlace: boolean): Promise<Held> {
    return new Promise((resolve, reject) => {
      const parsed = parseAcquireOptions(owner, options);
      const { timeoutMs, signal } = parsed;
      const mode = this.#modeOf(owner, parsed);
      signal?.throwIfAborted();
      const key = this.#key;
      if (!isWaitedFor(key)) {
        const held = this.#heldOrNull(tryAcquire(this.handle, NATIVE_MODE[mode]), mode, 0);
        if (held !== null) {
          resolve(held);
          return;
        }
      }
      if (timeoutMs === 0) {
        publish(channels.busy, this, mode, undefined, 0);
        throw this.#timeout(timeoutMs);
      }

      const beginning = waitBegins();
      const done = (): void => {
        clearTimeout(timer);
        if (signal !== undefined) forgetAbort(signal, request);
      };
      const request: WaitRequest = {
        lock: this,
        mode: NATIVE_MODE[mode],
        ownPlace,
        granted: (entry, token, abandoned) => {
          done();
          const waitedMs = since(beginning);
          resolve(this.#hold(mode, entry, token, abandoned, waitedMs));
          publish(channels.waited, this, mode, token, waitedMs);
        },
        failed: (error) => {
          done();
          const waitedMs = since(beginning);
          if (isTimeout(error)) publish(channels.busy, this, mode, undefined, waitedMs);
          publish(channels.waited, this, mode, undefined, waitedMs);
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- A signal's reason is anything.
          reject(error);
        },
      };
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => cancel(key, request, this.#timeout(timeoutMs)), timeoutMs);
      if (signal !== undefined) onAbort(signal, request, (reason) => cancel(key, request, reason));
      enqueue(key, request);
    });
  }

  #waitSync(mode: LockMode, timeoutMs: number): Held | null {
    const beginning = waitBegins();
    const entry = native.lockAcquireSync(this.handle, NATIVE_MODE[mode], timeoutMs);
    const waitedMs = since(beginning);
    const held = this.#heldOrNull(entry, mode, waitedMs);
    if (held === null) publish(channels.busy, this, mode, undefined, waitedMs);
    publish(channels.waited, this, mode, held?.token, waitedMs);
    return held;
  }

  #heldOrNull(entry: number, mode: LockMode, waitedMs: number | undefined): Held | null {
    if (entry >= 0) return this.#hold(mode, entry, lockResult[0]!, lockResult[1] !== 0, waitedMs);
    if (entry === BUSY) return null;
    return attempt(this.name, () => native.lockError());
  }

  #hold(mode: LockMode, entry: number, token: number, abandoned: boolean, waitedMs: number | undefined): Held {
    publish(channels.acquired, this, mode, token, waitedMs);
    if (abandoned) publish(channels.abandoned, this, mode, token, waitedMs);
    return new TableHeld(this, mode, entry, token, abandoned);
  }

  #timeout(timeoutMs: number): SemlockError {
    const message = `the lock "${this.name}" was not free within ${timeoutMs} ms`;
    return new SemlockError('ERR_SEMLOCK_TIMEOUT', message, { lockName: this.name });
  }

  #open(): Handle {
    const posixName = this.#customName;
    const name = posixName === '' ? this.name : posixName;
    const handle = attempt(this.name, () =>
      native.lockOpen(
        posixName === '' ? namespaceId(this.namespace) : posixNamespaceId(posixName),
        digest(name),
        name,
        this.permits,
        this.#named,
        this.foreign,
        posixName,
      ),
    );
    if (!this.#closesByHand) forgotten.register(this, handle);
    this.#handle = handle;
    return handle;
  }
}

/** Whether an acquire failed because its time was over. */
export function isTimeout(error: unknown): boolean {
  return error instanceof SemlockError && error.code === 'ERR_SEMLOCK_TIMEOUT';
}

/** Frees the native handle of a lock that nobody refers to any more, and that therefore nobody holds. */
const forgotten = new FinalizationRegistry<Handle>((handle) => native.lockClose(handle));

/** The holds of this thread that watch for theft, by the keys of their locks. */
class WatchingHolds {
  readonly #byKey = new Map<string, Set<TableHeld>>();

  of(key: string): readonly TableHeld[] {
    return [...(this.#byKey.get(key) ?? [])];
  }

  add(key: string, held: TableHeld): void {
    const holds = this.#byKey.get(key);
    if (holds === undefined) this.#byKey.set(key, new Set([held]));
    else holds.add(held);
  }

  delete(key: string, held: TableHeld): void {
    const holds = this.#byKey.get(key);
    if (holds?.delete(held) === true && holds.size === 0) this.#byKey.delete(key);
  }
}

const watchingHolds = new WatchingHolds();

class TableHeld extends HeldOnce implements Declinable {
  readonly mode: LockMode;
  readonly token: number;
  readonly abandoned: boolean;
  readonly #lock: NamedLock;
  readonly #entry: number;
  readonly #beginning = holdBegins();
  #lost: AbortController | undefined;
  #watch: number | undefined;
  #released = false;
  #stolen = false; // as far as is known

  constructor(lock: NamedLock, mode: LockMode, entry: number, token: number, abandoned: boolean) {
    super();
    this.mode = mode;
    this.token = token;
    this.abandoned = abandoned;
    this.#lock = lock;
    this.#entry = entry;
    if (!channels.stolen.hasSubscribers) return;
    try {
      this.#watchForTheft();
    } catch {
      // A system without a descriptor left: then the theft is told of when this is released, and the lock is had.
    }
  }

  get name(): string {
    return this.#lock.name;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Costs something, so the theft is only watched for once somebody asks. */
  get signal(): AbortSignal {
    if (this.#lost === undefined) {
      if (!this.#stolen && !this.#released) attempt(this.name, () => this.#watchForTheft());
      this.#lost = new AbortController();
      if (this.#stolen) this.#abort();
    }
    return this.#lost.signal;
  }

  decline(): void {
    if (!this.abandoned || this.#released) {
      this.release();
      return;
    }
    this.#released = true;
    this.#stopWatching();
    native.lockDecline(this.#lock.handle, this.#entry, this.token, true);
    publish(channels.released, this.#lock, this.mode, this.token, since(this.#beginning));
  }

  protected giveBack(): boolean {
    this.#released = true;
    this.#stopWatching();
    const gaveBack = release(this.#lock.handle, this.#entry, this.token);
    if (gaveBack) publish(channels.released, this.#lock, this.mode, this.token, since(this.#beginning));
    else this.wasStolen();
    return gaveBack;
  }

  #watchForTheft(): void {
    if (this.#watch !== undefined) return;
    subscribe();
    const watch = native.lockWatch(this.#lock.handle, this.#entry, this.token);
    if (watch < 0) native.lockError();
    this.#watch = watch;
    listen(this.#watch, () => this.wasStolen());
    watchingHolds.add(this.#lock.key, this);
  }

  #stopWatching(): void {
    if (this.#watch === undefined) return;
    native.lockUnwatch(this.#lock.handle, this.#watch);
    unlisten(this.#watch);
    watchingHolds.delete(this.#lock.key, this);
  }

  /** Learned from a thief of this thread, from the watch, or from a release that came too late. */
  wasStolen(): void {
    if (this.#stolen) return;
    this.#stolen = true;
    this.#stopWatching();
    publish(channels.stolen, this.#lock, this.mode, this.token, since(this.#beginning));
    this.#abort();
  }

  #abort(): void {
    this.#lost?.abort(new DOMException(`The lock "${this.name}" was stolen`, 'AbortError'));
  }
}
