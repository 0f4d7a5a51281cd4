// What Lock and Semaphore share: a name in a namespace, a number of permits, and a try that never waits.

import { SemlockError } from '../errors.js';
import { checkLockName, checkPosixName, defaultNamespace, semaphoreName } from '../names.js';
import { HeldPermit, type Held } from './held.js';
import { NamedSemaphore } from './named-semaphore.js';

export interface NamedLockOptions {
  readonly namespace: string | undefined;
  readonly posixName: string | undefined;
  readonly permits: number;
}

export abstract class NamedLock {
  /** The name as it was given. */
  readonly name: string;
  /** The namespace: locks of the same name in different namespaces are different locks. */
  readonly namespace: string;
  /** How many can hold it at once. */
  readonly permits: number;
  /** The name of the POSIX semaphore behind it, for programs that call `sem_open` themselves. */
  readonly posixName: string;
  #semaphore: NamedSemaphore | undefined;

  /** @internal */
  protected constructor(owner: string, name: string, options: NamedLockOptions) {
    checkLockName(owner, name);
    if (options.posixName !== undefined) checkPosixName(owner, options.posixName);
    this.name = name;
    this.namespace = options.namespace ?? defaultNamespace();
    this.permits = options.permits;
    this.posixName = options.posixName ?? semaphoreName(this.namespace, name);
  }

  /**
   * Takes a permit if one is free, and returns at once.
   *
   * @returns the permit, or `null` when all are held.
   * @throws {@link SemlockError} when the lock cannot be had for another reason, for example without `/dev/shm`.
   */
  tryAcquire(): Held | null {
    const semaphore = (this.#semaphore ??= NamedSemaphore.create(this.posixName, { value: this.permits }));
    return semaphore.tryWait() ? new HeldPermit(this.name, () => semaphore.post()) : null;
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
}
