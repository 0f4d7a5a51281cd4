// The raw POSIX primitive, with the errors of the system and nothing added.

import { SemlockError } from '../errors.js';
import { checkPosixName } from '../names.js';
import { addon, attempt, CREATE, EAGAIN, EOVERFLOW, failureOf, type Handle } from '../native.js';
import { integer, optionError, optionParser } from '../options.js';

/** Options of {@link NamedSemaphore.create} and {@link NamedSemaphore.createExclusive}. */
export interface NamedSemaphoreOptions {
  /** The value it is created with, 0 to `SEM_VALUE_MAX` (2 147 483 647). Default 1. */
  value?: number;
  /**
   * The permissions it is created with, less the umask. Default `0o600`: this user alone. With `0o660` the members of this
   * process's group share it. They must trust each other: any of them can end the others by truncating its file. Others never
   * have access.
   */
  mode?: number;
  /** The value that `post` refuses to exceed, from `value` up. Default `SEM_VALUE_MAX`. Checked by this object alone. */
  maxValue?: number;
}

/** Of Linux, glibc and musl. */
const SEM_VALUE_MAX = 2 ** 31 - 1;

const maxValueRule = integer(0, SEM_VALUE_MAX);
const parseOpenOptions = optionParser<Pick<NamedSemaphoreOptions, 'maxValue'>>()({ maxValue: maxValueRule });
const parseCreateOptions = optionParser<NamedSemaphoreOptions>()({
  value: integer(0, SEM_VALUE_MAX, 1),
  mode: integer(0, 0o777, 0o600),
  maxValue: maxValueRule,
});

/**
 * A POSIX named semaphore: a number that every process can open by name, take from and add to. It is what
 * `multiprocessing.Semaphore` is to Python: any program may post it, also one that has not taken from it.
 *
 * It is **not crash-safe**. Nothing records who took from it: when a process dies between `tryWait` and `post`, the
 * value stays lower forever. Use {@link Lock} or {@link Semaphore} where that matters.
 *
 * The semaphore stays in the system until {@link NamedSemaphore.unlink} removes its name; programs that have it open go on
 * using it after that. Source: POSIX.1-2017, `sem_open`, `sem_trywait`, `sem_post`, `sem_unlink`.
 *
 * @example
 * ```ts
 * const slots = NamedSemaphore.create('/render-slots', { value: 2 });
 * if (slots.tryWait()) {
 *   try { await render(); } finally { slots.post(); }
 * }
 * slots.close();
 * ```
 */
export class NamedSemaphore {
  /** The name, with its slash. */
  readonly name: string;
  readonly #maxValue: number;
  #handle: Handle | undefined;

  private constructor(name: string, handle: Handle, maxValue: number) {
    this.name = name;
    this.#handle = handle;
    this.#maxValue = maxValue;
  }

  /**
   * Opens a semaphore that exists: a file of this user or root, with one link, to which nobody else has access. One
   * that a group shares is opened with {@link create} and its `mode`.
   *
   * @throws {@link SemlockError} `ERR_SEMLOCK_NAME`, `ERR_SEMLOCK_NOT_FOUND`, `ERR_SEMLOCK_UNTRUSTED`,
   * `ERR_SEMLOCK_NOT_A_SEMAPHORE`, or `ERR_SEMLOCK_SYSTEM` with the system's error as `cause`, for example `EACCES`.
   */
  static open(name: string, options?: Pick<NamedSemaphoreOptions, 'maxValue'>): NamedSemaphore {
    const owner = 'NamedSemaphore.open()';
    const { maxValue } = parseOpenOptions(owner, options);
    return NamedSemaphore.#open(owner, name, CREATE.never, 0, 0, maxValue);
  }

  /**
   * Opens a semaphore, and creates it first if there is none. `value` counts only when it is created. With a `mode` that
   * gives access to the group, one of this process's group is opened too.
   *
   * @throws {@link SemlockError} `ERR_SEMLOCK_NAME`, `ERR_SEMLOCK_OPTION`, `ERR_SEMLOCK_UNTRUSTED`,
   * `ERR_SEMLOCK_NOT_A_SEMAPHORE`, or `ERR_SEMLOCK_SYSTEM`.
   */
  static create(name: string, options?: NamedSemaphoreOptions): NamedSemaphore {
    return NamedSemaphore.#create('NamedSemaphore.create()', name, CREATE.ifMissing, options);
  }

  /**
   * Creates a semaphore that must not exist yet (`O_CREAT | O_EXCL`).
   *
   * @throws {@link SemlockError} `ERR_SEMLOCK_EXISTS`, or as {@link NamedSemaphore.create}.
   */
  static createExclusive(name: string, options?: NamedSemaphoreOptions): NamedSemaphore {
    return NamedSemaphore.#create('NamedSemaphore.createExclusive()', name, CREATE.exclusive, options);
  }

  /**
   * Removes the name from the system. Programs that have the semaphore open keep it; the next `create` makes a new one.
   *
   * @throws {@link SemlockError} `ERR_SEMLOCK_NAME`, `ERR_SEMLOCK_NOT_FOUND`, or `ERR_SEMLOCK_SYSTEM`.
   */
  static unlink(name: string): void {
    checkPosixName('NamedSemaphore.unlink()', name);
    attempt(name, () => addon().semUnlink(name));
  }

  static #create(owner: string, name: string, create: 1 | 2, options: NamedSemaphoreOptions | undefined) {
    const { value, mode, maxValue } = parseCreateOptions(owner, options);
    if ((mode & 0o007) !== 0) {
      throw optionError(owner, 'mode', mode, 'one without access for others, such as 0o600 or 0o660');
    }
    if (maxValue !== undefined && maxValue < value) {
      throw optionError(owner, 'maxValue', maxValue, `at least the value, ${value}`);
    }
    return NamedSemaphore.#open(owner, name, create, mode, value, maxValue);
  }

  static #open(owner: string, name: string, create: 0 | 1 | 2, mode: number, value: number, maxValue?: number) {
    checkPosixName(owner, name);
    const handle = attempt(name, () => addon().semOpen(name, create, mode, value));
    return new NamedSemaphore(name, handle, maxValue ?? SEM_VALUE_MAX);
  }

  /**
   * Takes 1 from the value if it is above 0 (`sem_trywait`); never waits.
   *
   * @returns whether it did.
   * @throws {@link SemlockError} `ERR_SEMLOCK_CLOSED` after {@link close}.
   */
  tryWait(): boolean {
    const result = addon().semTryWait(this.#opened());
    if (result === 0) return true;
    if (result === -EAGAIN) return false;
    throw failureOf(-result, 'sem_trywait', this.name);
  }

  /**
   * Adds 1 to the value (`sem_post`).
   *
   * @throws {@link SemlockError} `ERR_SEMLOCK_OVERFLOW` at `maxValue`, `ERR_SEMLOCK_CLOSED` after {@link close}.
   */
  post(): void {
    const handle = this.#opened();
    const result =
      this.#maxValue < SEM_VALUE_MAX && addon().semValue(handle) >= this.#maxValue
        ? -EOVERFLOW
        : addon().semPost(handle);
    if (result !== 0) throw failureOf(-result, 'sem_post', this.name);
  }

  /**
   * The value at this moment; another process may change it before you look (`sem_getvalue`).
   *
   * @throws {@link SemlockError} `ERR_SEMLOCK_CLOSED` after {@link close}.
   */
  get value(): number {
    return addon().semValue(this.#opened());
  }

  /** Lets go of the semaphore; its value and its name stay as they are. Closing again does nothing. */
  close(): void {
    if (this.#handle !== undefined) addon().semClose(this.#handle);
    this.#handle = undefined;
  }

  /** Closes at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  #opened(): Handle {
    if (this.#handle === undefined) {
      throw new SemlockError('ERR_SEMLOCK_CLOSED', `the semaphore "${this.name}" was closed`, { lockName: this.name });
    }
    return this.#handle;
  }
}
