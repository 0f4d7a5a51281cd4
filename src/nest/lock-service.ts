// The locks of a NestJS app, to be injected. At the end of the app it waits for the `@Locked()` methods under way.

import { keptReleased } from '../at-least.js';
import type { FileTarget } from '../file-name.js';
import type { Hold } from '../hold.js';
import { readForm, type FormOptions, type TargetOptions } from '../http/core/options.js';
import { Lock, type LockOptions } from '../lock.js';
import { Semaphore, type SemaphoreOptions } from '../semaphore.js';
import type { LockStore } from '../store.js';
import type { RunOptions } from '../stored-lock.js';
import { createLocks, type LockManager } from '../web-locks/lock-manager.js';
import type { OnBusy } from './file-locked.js';

/** Options of `LockModule`: those of all its locks, and defaults of `@FileLocked()`. */
export type LockModuleOptions = Omit<FormOptions<never, OnBusy>, keyof TargetOptions<never>>;

/** @throws `SemlockError` `ERR_SEMLOCK_OPTION`. */
export function checkModuleOptions(options: LockModuleOptions): void {
  readForm('LockModule', undefined, options);
}

/**
 * Makes locks in the namespace and the store of `LockModule`. It ends with the app: it waits for the `@Locked()` methods that are
 * under way, and then closes the store that the module was given.
 */
export class LockService {
  /** The Web Locks API. */
  readonly locks: LockManager;
  /** @internal */
  readonly options: LockModuleOptions;
  readonly #store: LockStore | undefined;
  readonly #underWay = new Set<Promise<unknown>>();

  /**
   * @throws `SemlockError` `ERR_SEMLOCK_OPTION`.
   * @internal
   */
  constructor(options: LockModuleOptions = {}) {
    checkModuleOptions(options);
    this.options = options;
    this.#store = options.store;
    this.locks = createLocks(this.defaultsFor(''));
  }

  /** @throws `SemlockError` as the constructor of `Lock`. */
  lock(name: string | FileTarget, options?: LockOptions): Lock {
    return new Lock(name, { ...this.defaultsFor(name), ...options });
  }

  /** @throws `SemlockError` as the constructor of `Semaphore`. */
  semaphore(name: string | FileTarget, options: SemaphoreOptions): Semaphore {
    return new Semaphore(name, { ...this.defaultsFor(name), ...options });
  }

  /** Calls `work` with the lock of that name, as the method `run` of `Lock`. */
  run<T>(name: string | FileTarget, work: (hold: Hold) => T | PromiseLike<T>): Promise<Awaited<T>>;
  run<T>(
    name: string | FileTarget,
    work: (hold: Hold) => T | PromiseLike<T>,
    options: RunOptions,
  ): Promise<Awaited<T> | undefined>;
  run<T>(name: string | FileTarget, work: (hold: Hold) => T | PromiseLike<T>, options?: RunOptions) {
    return this.watch(this.lock(name).run(work, options ?? {}));
  }

  /**
   * The end of the app waits for `work`.
   *
   * @internal
   */
  watch<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    const end = () => void this.#underWay.delete(work);
    work.then(end, end);
    return work;
  }

  /** Called by NestJS when the app is closed and its server, too. */
  async onApplicationShutdown(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    const store = this.#store;
    if (store?.close === undefined) return;
    await keptReleased();
    await store.close();
  }

  /**
   * Whose locks, and where, as far as the module says it. The lock of a file is in no namespace of an app.
   *
   * @internal
   */
  defaultsFor(target: unknown): Pick<LockOptions, 'namespace' | 'user' | 'group' | 'store'> {
    const { namespace, user, group, store } = this.options;
    return {
      ...(namespace !== undefined && typeof target !== 'object' && { namespace }),
      ...(user !== undefined && { user }),
      ...(group !== undefined && { group }),
      ...(store !== undefined && { store }),
    };
  }
}
