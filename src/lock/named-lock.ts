// What Lock and Semaphore share: a name in a namespace, a number of permits, and a try that never waits. The engine
// behind it is described in native/README.md.

import { SemlockError } from '../errors.js';
import { checkLockName, checkPosixName, defaultNamespace, digest, namespaceId } from '../names.js';
import { attempt, BUSY, native, type Handle } from '../native.js';
import { optionError } from '../options.js';
import { HeldOnce, type Held } from './held.js';

/** What a lock is made with, checked. */
export interface NamedLockOptions {
  readonly namespace?: string | undefined;
  readonly permits: number;
  readonly posixName?: string | undefined;
  readonly foreign?: boolean | undefined;
  /** `false` for one of many computed names, which has no semaphore of its own in the file system. */
  readonly named?: boolean;
}

export class NamedLock {
  /** The name as it was given. */
  readonly name: string;
  /** The namespace: locks of the same name in different namespaces are different locks. */
  readonly namespace: string;
  /** How many can hold it at once. */
  readonly permits: number;
  /** Whether programs that call `sem_open` themselves may take part. */
  readonly foreign: boolean;
  readonly #customName: string;
  readonly #named: boolean;
  #handle: Handle | undefined;

  /** @internal */
  constructor(owner: string, name: string, options: NamedLockOptions) {
    checkLockName(owner, name);
    const { namespace, permits, posixName, foreign, named = true } = options;
    if (posixName !== undefined) checkPosixName(owner, posixName);
    if (posixName !== undefined && foreign === false) {
      throw optionError(owner, 'foreign', foreign, 'true or absent with a posixName, which others can open');
    }
    this.name = name;
    this.namespace = namespace ?? defaultNamespace();
    this.permits = permits;
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
   * Takes a permit if one is free, and returns at once. A permit whose holder died counts as free.
   *
   * @returns the permit, or `null` when all are held.
   * @throws {@link SemlockError} when the lock cannot be had for another reason, for example without `/dev/shm`
   * (`ERR_SEMLOCK_SYSTEM`), or when others use it with another number of permits (`ERR_SEMLOCK_MISMATCH`).
   */
  tryAcquire(): Held | null {
    const handle = (this.#handle ??= this.#open());
    const entry = native.lockTryAcquire(handle);
    if (entry >= 0) return new TableHeld(this, handle, entry);
    if (entry === BUSY) return null;
    return attempt(this.name, () => native.lockError());
  }

  /**
   * Takes a permit, calls `work` with it, and releases it when the result has settled, whatever it is.
   *
   * @returns what `work` returned.
   * @throws {@link SemlockError} `ERR_SEMLOCK_BUSY` when no permit is free; `work` is not called then.
   */
  async run<T>(work: (held: Held) => T | PromiseLike<T>): Promise<Awaited<T>> {
    const held = this.tryAcquire();
    if (held === null) {
      throw new SemlockError('ERR_SEMLOCK_BUSY', `the lock "${this.name}" is held elsewhere`, { lockName: this.name });
    }
    try {
      return await work(held);
    } finally {
      held.release();
    }
  }

  /** How many permits are free at this moment; another process may take them before you look. */
  get available(): number {
    const handle = (this.#handle ??= this.#open());
    return attempt(this.name, () => native.lockAvailable(handle));
  }

  #open(): Handle {
    const handle = attempt(this.name, () =>
      native.lockOpen(
        namespaceId(this.namespace),
        digest(this.name),
        this.name,
        this.permits,
        this.#named,
        this.foreign,
        this.#customName,
      ),
    );
    forgotten.register(this, handle);
    return handle;
  }
}

/** Frees the native handle of a lock that nobody refers to any more, and that therefore nobody holds. */
const forgotten = new FinalizationRegistry<Handle>((handle) => native.lockClose(handle));

class TableHeld extends HeldOnce {
  readonly #lock: NamedLock; // keeps the handle alive
  readonly #handle: Handle;
  readonly #entry: number;

  /** Right after `lockTryAcquire`, whose other results are in `lockResult`. */
  constructor(lock: NamedLock, handle: Handle, entry: number) {
    super(native.lockResult[0]!, native.lockResult[1] !== 0);
    this.#lock = lock;
    this.#handle = handle;
    this.#entry = entry;
  }

  get name(): string {
    return this.#lock.name;
  }

  protected giveBack(): void {
    native.lockRelease(this.#handle, this.#entry, this.token);
  }
}
