// A lock around a method: one line above it instead of a try and a finally inside it.

import { byOrder, takeAll } from '../acquire-all.js';
import { atLeastRule } from '../at-least.js';
import { SemlockError } from '../errors.js';
import { FILE_NAMESPACE, fileLockName, type FilePath } from '../file-name.js';
import type { Hold } from '../hold.js';
import { type Holds } from '../holds.js';
import { KeyedLocks } from '../keyed-locks.js';
import { lockRules, type LockOptions } from '../lock.js';
import { integer, oneOf, optionError, optionParser, type Parsed } from '../options.js';
import { MAX_PERMITS } from '../semaphore.js';
import type { LockMode } from '../store.js';
import { MAX_TIMER_MS, StoredLock } from '../stored-lock.js';
import { methodDecorator, type DualMethodDecorator, type Method } from './method-decorator.js';

/** Options of {@link Locked}. */
export interface LockedOptions extends LockOptions {
  /** How many calls can be under way at once, in all processes together, 1 to 1 024. Default 1. */
  permits?: number;
  /**
   * `'shared'` for methods that only read: their calls run together, but not beside a call that takes the lock exclusively,
   * nor ahead of one that waits for that. Needs one permit. Default `'exclusive'`.
   */
  mode?: LockMode;
  /** How long a call waits in turn while the lock is held elsewhere, in milliseconds. Default 0: it is refused at once. */
  waitMs?: number;
  /**
   * What becomes of a call that finds the lock held elsewhere: `'throw'`: it rejects; `'skip'`: its promise gives `undefined`, as
   * for a job of which one run is enough. Default `'throw'`.
   */
  onBusy?: 'throw' | 'skip';
  /**
   * How long the lock is held at least, in milliseconds, even if the call ends sooner; the process stays alive until then.
   * With `onBusy: 'skip'`, a job that several processes start at one time runs once, if their clocks differ by less.
   * Default 0.
   */
  atLeastMs?: number;
}

/** What a call locks: a name, a file or several files, each also as a function of the call's arguments. */
export type LockedTarget<Owner = unknown, Leading extends unknown[] = never[]> =
  | string
  | ((this: Owner, ...args: Leading) => string)
  | {
      /** The file whose lock it is. */
      readonly file: FilePath | ((this: Owner, ...args: Leading) => FilePath);
    }
  | {
      /** The files whose locks it takes, all of them or none. */
      readonly files: readonly FilePath[] | ((this: Owner, ...args: Leading) => readonly FilePath[]);
    };

const lockedRules = {
  ...lockRules,
  permits: integer(1, MAX_PERMITS, 1),
  mode: oneOf<LockMode>(['exclusive', 'shared'], 'exclusive'),
  waitMs: integer(0, MAX_TIMER_MS, 0),
  onBusy: oneOf<'throw' | 'skip'>(['throw', 'skip'], 'throw'),
  atLeastMs: atLeastRule,
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
 * @param target - the lock's name, or a function that makes it from the call's `this` and arguments; or `{ file }` or
 * `{ files }`: the lock of a file, or those of several, all or none.
 * @param options - `posixName` needs a fixed `name`, because different names never share a lock.
 * @throws {@link SemlockError} `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION` at once; a name that a function made rejects
 * the call. `TypeError` when it stands on anything but a method, or on a generator.
 *
 * @example
 * ```ts
 * class Accounts {
 *   @Locked((id: string) => `account:${id}`)
 *   async deposit(id: string, amount: number) { … }
 *
 *   @Locked('nightly', { onBusy: 'skip', atLeastMs: 60_000 })
 *   async nightly(): Promise<void> { … }
 * }
 * ```
 */
export function Locked<Owner, Leading extends unknown[]>(
  target: LockedTarget<Owner, Leading>,
  options: LockedOptions & { onBusy: 'skip' },
): DualMethodDecorator<Owner, Leading, Promise<void>>;
export function Locked<Owner, Leading extends unknown[]>(
  target: LockedTarget<Owner, Leading>,
  options?: LockedOptions & { onBusy?: 'throw' },
): DualMethodDecorator<Owner, Leading, Promise<unknown>>;
export function Locked(target: LockedTarget, options?: LockedOptions) {
  const callUnderLock = callLocker(OWNER, target, options);
  return methodDecorator(OWNER, (method) => lockedMethod(method, callUnderLock));
}

const OWNER = '@Locked()';

/** Calls `work` with the lock of a call; gives its result, or `undefined` where it is skipped. */
export type CallUnderLock = (owner: unknown, args: unknown[], work: () => unknown) => Promise<unknown>;

/** The method that calls `method` under its lock. */
export function lockedMethod(method: Method, callUnderLock: CallUnderLock): Method {
  refuseGenerator(method);
  // A lock that is free needs no wait, and the method starts before the call returns.
  return function (this: unknown, ...args: unknown[]) {
    return callUnderLock(this, args, () => method.apply(this, args));
  };
}

/** Makes what takes the lock of each call. A fixed name has one lock, which is made here and now. */
export function callLocker(label: string, target: LockedTarget, options: LockedOptions | undefined): CallUnderLock {
  const { mode, waitMs, onBusy, atLeastMs, ...settings } = parseLockedOptions(label, options);
  if (mode === 'shared' && settings.permits > 1) {
    throw optionError(label, 'mode', mode, `'exclusive' or absent with ${settings.permits} permits`);
  }
  const locksOf = locksFinder(label, target as AnyTarget, settings);
  const how = mode === 'exclusive' ? undefined : { mode };
  const limits = waitMs === 0 ? { ifAvailable: true } : { timeoutMs: waitMs };

  // Async for its errors too: a name that cannot be made rejects like a lock that is busy.
  return async (owner, args, work) => {
    const locks = locksOf(owner, args);
    const now = locks instanceof StoredLock && locks.isSync ? locks.tryAcquire(how) : null;
    const held = now ?? (await take(locks));
    if (held !== undefined) return await held.during(work, atLeastMs);
    return undefined;
  };

  async function take(locks: StoredLock | readonly StoredLock[]): Promise<Hold | Holds | undefined> {
    if (locks instanceof StoredLock && locks.isSync && waitMs === 0) {
      refused(locks);
      return;
    }
    const wanted = [locks].flat().map((lock) => ({ lock, mode }));
    const taken = await takeAll(wanted.sort(byOrder), limits);
    if (taken instanceof StoredLock) {
      refused(taken);
      return;
    }
    return locks instanceof StoredLock ? taken.holds[0] : taken;
  }

  function refused({ name }: StoredLock): undefined {
    if (onBusy === 'skip') return undefined;
    if (waitMs === 0) {
      throw new SemlockError('ERR_SEMLOCK_BUSY', `the lock "${name}" is held elsewhere`, { lockName: name });
    }
    const message = `the lock "${name}" was not free within ${waitMs} ms`;
    throw new SemlockError('ERR_SEMLOCK_TIMEOUT', message, { lockName: name });
  }
}

type LockSettings = Omit<Parsed<typeof lockedRules>, 'mode' | 'waitMs' | 'onBusy' | 'atLeastMs'>;
type OfCall<T> = (this: unknown, ...args: unknown[]) => T;
type AnyTarget = string | OfCall<string> | { file: FilePath | OfCall<FilePath> } | { files: Paths | OfCall<Paths> };
type Paths = readonly FilePath[];

/** Gives the lock of each call, or the list of them. */
function locksFinder(label: string, target: AnyTarget, given: LockSettings) {
  if (typeof target !== 'object') return lockFinder(label, target, given, (name) => name);
  const key = 'files' in target ? 'files' : 'file';
  for (const other of ['namespace', 'posixName'] as const) {
    if (given[other] !== undefined) throw optionError(label, other, given[other], `absent beside "${key}"`);
  }
  const settings = { ...given, namespace: FILE_NAMESPACE };
  const nameOf = (path: FilePath) => fileLockName(label, path);
  if ('file' in target) return lockFinder(label, target.file, settings, nameOf);

  const { files } = target;
  const lockOf = keyedLocks(label, settings);
  const locksOf = (paths: Paths) => {
    if (!Array.isArray(paths) || paths.length === 0) throw optionError(label, 'files', paths, 'a list of paths');
    return [...new Set(paths.map((path) => lockOf(nameOf(path as FilePath))))];
  };
  if (typeof files === 'function') return (owner: unknown, args: unknown[]) => locksOf(files.apply(owner, args));
  const locks = locksOf(files);
  return () => locks;
}

function lockFinder<Given extends string | URL>(
  label: string,
  name: Given | OfCall<Given>,
  settings: LockSettings,
  nameOf: (given: Given) => string,
) {
  if (typeof name !== 'function') {
    const lock = new StoredLock(label, nameOf(name), settings);
    return () => lock;
  }
  if (settings.posixName !== undefined) {
    throw optionError(label, 'posixName', settings.posixName, 'absent where a function makes the name');
  }
  const lockOf = keyedLocks(label, settings);
  return (owner: unknown, args: unknown[]) => lockOf(nameOf(name.apply(owner, args)));
}

function keyedLocks(label: string, settings: LockSettings): (name: string) => StoredLock {
  const locks = new KeyedLocks((name) => new StoredLock(label, name, { ...settings, keyed: true }));
  return (name) => locks.get(name);
}

/** A generator has not even begun when the call returns: the lock would be released before the work. */
function refuseGenerator(method: Method): void {
  const kind = Object.prototype.toString.call(method);
  if (kind === '[object GeneratorFunction]' || kind === '[object AsyncGeneratorFunction]') {
    throw new TypeError('@Locked() belongs on a method that returns a promise, but it stands on a generator');
  }
}
