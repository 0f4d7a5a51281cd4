// A lock around a method: one line above it instead of a try and a finally inside it.

import { SemlockError } from '../errors.js';
import { KeyedLocks } from '../keyed-locks.js';
import { lockRules, type LockOptions } from '../lock.js';
import { integer, oneOf, optionError, optionParser, type Parsed } from '../options.js';
import { MAX_PERMITS } from '../semaphore.js';
import type { LockMode } from '../store.js';
import { checkForeign, MAX_TIMER_MS, StoredLock } from '../stored-lock.js';
import { methodDecorator, type DualMethodDecorator, type Method } from './method-decorator.js';

/** Options of {@link Locked}. */
export interface LockedOptions extends LockOptions {
  /** How many calls can be under way at once, in all processes together, 1 to 1 024. Default 1. */
  permits?: number;
  /**
   * `'shared'` for methods that only read: calls of them are under way together, but not beside one that takes the lock
   * exclusively, nor ahead of one that waits to. Needs one permit. Default `'exclusive'`.
   */
  mode?: LockMode;
  /** How long a call waits in turn while the lock is held elsewhere, in milliseconds. Default 0: it is refused at once. */
  waitMs?: number;
}

const lockedRules = {
  ...lockRules,
  permits: integer(1, MAX_PERMITS, 1),
  mode: oneOf<LockMode>(['exclusive', 'shared'], 'exclusive'),
  waitMs: integer(0, MAX_TIMER_MS, 0),
};
const parseLockedOptions = optionParser<LockedOptions>()(lockedRules);

/**
 * Holds a lock during each call of a method, from before it starts until the promise it returns has settled. In all
 * processes of this user on this machine, at most `permits` calls under one name are under way at once.
 *
 * The decorated method always returns a promise, and has to be declared as one that does. While the lock is held
 * elsewhere the method is not called and the promise rejects with a {@link SemlockError}: `ERR_SEMLOCK_BUSY` at once, or
 * with `waitMs` `ERR_SEMLOCK_TIMEOUT` when that has passed. The lock is not reentrant: a method that calls another one
 * under the same name is refused. A method whose work goes on after its promise, such as one that returns a stream or
 * an iterator, is not protected.
 *
 * Works as a standard decorator and under `experimentalDecorators`, on instance and static methods.
 *
 * @param name - the lock's name, or a function that makes it from the call's `this` and arguments.
 * @param options - `posixName` needs a fixed `name`, because different names never share a lock.
 * @throws {@link SemlockError} `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION` at once; a name that a function made rejects
 * the call. `TypeError` when it stands on anything but a method, or on a generator.
 *
 * @example
 * ```ts
 * class Accounts {
 *   @Locked((id: string) => `account:${id}`)
 *   async deposit(id: string, amount: number) { … }
 * }
 * ```
 */
export function Locked<Owner, Leading extends unknown[]>(
  name: string | ((this: Owner, ...args: Leading) => string),
  options?: LockedOptions,
): DualMethodDecorator<Owner, Leading, Promise<unknown>> {
  const { mode, waitMs, ...lockOptions } = parseLockedOptions('@Locked()', options);
  if (mode === 'shared' && lockOptions.permits > 1) {
    throw optionError('@Locked()', 'mode', mode, `'exclusive' or absent with ${lockOptions.permits} permits`);
  }
  const lockFor = lockFinder(name as string | NameFunction, lockOptions);
  const how = mode === 'exclusive' ? undefined : { mode };
  const waitFor = async (lock: StoredLock) => {
    if (waitMs > 0) return lock.acquire({ mode, timeoutMs: waitMs });
    return (lock.isSync ? null : await lock.acquire({ mode, ifAvailable: true })) ?? refuse(lock);
  };

  return methodDecorator('@Locked()', (method) => {
    refuseGenerator(method);
    // Async for its errors too: a name that cannot be made rejects like a lock that is busy. A lock that is free needs no
    // wait, and the method starts before the call returns.
    return async function (this: unknown, ...args: unknown[]) {
      const lock = lockFor(this, args);
      const hold = (lock.isSync ? lock.tryAcquire(how) : null) ?? (await waitFor(lock));
      return hold.during(() => method.apply(this, args));
    };
  });
}

function refuse({ name }: StoredLock): never {
  throw new SemlockError('ERR_SEMLOCK_BUSY', `the lock "${name}" is held elsewhere`, { lockName: name });
}

type LockSettings = Omit<Parsed<typeof lockedRules>, 'mode' | 'waitMs'>;
type NameFunction = (this: unknown, ...args: unknown[]) => string;

/** Gives the lock of each call. A fixed name has one lock, which is made here and now. */
function lockFinder(name: string | NameFunction, options: LockSettings) {
  if (typeof name !== 'function') {
    const lock = new StoredLock('@Locked()', name, options);
    return () => lock;
  }
  if (options.posixName !== undefined) {
    throw optionError('@Locked()', 'posixName', options.posixName, 'absent where a function makes the name');
  }
  checkForeign('@Locked()', options.posixName, options.foreign);
  const eachOptions = { ...options, keyed: true };
  const locks = new KeyedLocks((text) => new StoredLock('@Locked()', text, eachOptions));
  return (owner: unknown, args: unknown[]) => locks.get(name.apply(owner, args));
}

/** A generator has not even begun when the call returns: the lock would be released before the work. */
function refuseGenerator(method: Method): void {
  const kind = Object.prototype.toString.call(method);
  if (kind === '[object GeneratorFunction]' || kind === '[object AsyncGeneratorFunction]') {
    throw new TypeError('@Locked() belongs on a method that returns a promise, but it stands on a generator');
  }
}
