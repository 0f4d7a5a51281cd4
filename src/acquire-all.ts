// Several locks at once, for work that has to do with all of them, as a copy of one file to another has.

import { describe, SemlockError } from './errors.js';
import type { Hold } from './hold.js';
import { Holds } from './holds.js';
import { abortSignal, flag, integer, optionParser } from './options.js';
import type { LockMode } from './store.js';
import { isTimeout, MAX_TIMER_MS, StoredLock, type AcquireOptions } from './stored-lock.js';
import { now } from './timers.js';

/** A lock, and how it is to be held. */
export type LockOrMode =
  | StoredLock
  | {
      /** The lock. */
      readonly lock: StoredLock;
      /** How it is to be held. */
      readonly mode: LockMode;
    };

const parseOptions = optionParser<Omit<AcquireOptions, 'mode'>>()({
  timeoutMs: integer(0, MAX_TIMER_MS),
  signal: abortSignal(),
  ifAvailable: flag(),
});

/**
 * Acquires all of these locks or none. It takes them in the same order everywhere, whatever the order in which they are
 * given, so that two callers that want the same locks do not wait for each other.
 *
 * A lock that is given twice is taken once, exclusively if one of the two says so.
 *
 * @returns the holds; `null` with `ifAvailable` when one of them is not free.
 * @throws {@link SemlockError} rejects as {@link Lock.acquire} does; `timeoutMs` is for all of them together.
 *
 * @example
 * ```ts
 * await using both = await acquireAll([new Lock('from'), new Lock('to')], { timeoutMs: 5_000 });
 * ```
 */
export function acquireAll(
  locks: readonly LockOrMode[],
  options: Omit<AcquireOptions, 'mode'> & { ifAvailable: true },
): Promise<Holds | null>;
export function acquireAll(
  locks: readonly LockOrMode[],
  options?: Omit<AcquireOptions, 'mode'> & { ifAvailable?: false },
): Promise<Holds>;
export async function acquireAll(
  locks: readonly LockOrMode[],
  options?: Omit<AcquireOptions, 'mode'>,
): Promise<Holds | null> {
  const want = parseOptions('acquireAll()', options);
  const { timeoutMs, ifAvailable = false } = want;
  const wanted = inOrder(locks);
  const taken = await takeAll(wanted, want);
  if (taken instanceof Holds) return taken;
  if (ifAvailable) return null;
  const message = `not all of ${locks.length} locks were free within ${timeoutMs} ms: "${taken.name}" was not`;
  throw new SemlockError('ERR_SEMLOCK_TIMEOUT', message, { lockName: taken.name });
}

interface Wanted {
  readonly lock: StoredLock;
  mode: LockMode;
}

/**
 * Acquires them one after the other; gives the lock that was not free in time, if there is one. Then nothing is held.
 *
 * @internal
 */
export async function takeAll(
  wanted: readonly Wanted[],
  { timeoutMs, signal, ifAvailable = false }: Omit<AcquireOptions, 'mode'>,
): Promise<Holds | StoredLock> {
  const end = timeoutMs === undefined ? Infinity : now() + timeoutMs;
  const holds: Hold[] = [];
  try {
    for (const { lock, mode } of wanted) {
      const left = end === Infinity ? undefined : Math.max(0, Math.ceil(end - now()));
      const hold = await takeOne(lock, ifAvailable ? { mode, signal, ifAvailable } : { mode, signal, timeoutMs: left });
      if (hold === null) {
        await decline(holds);
        return lock;
      }
      holds.push(hold);
    }
  } catch (error) {
    await decline(holds);
    throw error;
  }
  return new Holds(holds);
}

async function takeOne(lock: StoredLock, options: AcquireOptions): Promise<Hold | null> {
  try {
    return await lock.acquire(options);
  } catch (error) {
    if (isTimeout(error)) return null;
    throw error;
  }
}

/** No work was done under them. */
async function decline(holds: readonly Hold[]): Promise<void> {
  for (const hold of holds.toReversed()) hold.decline();
  await Promise.all(holds.map((hold) => hold[Symbol.asyncDispose]()));
}

/** Each once, in the order of all processes. */
function inOrder(locks: readonly LockOrMode[]): Wanted[] {
  const wanted = new Map<string, Wanted>();
  for (const each of locks) {
    const { lock, mode } = each instanceof StoredLock ? { lock: each, mode: 'exclusive' as const } : each;
    if (!(lock instanceof StoredLock)) {
      throw new TypeError(`acquireAll(): every element of the list must be a lock, but ${describe(lock)} was given`);
    }
    const known = wanted.get(lock.key);
    if (known === undefined) wanted.set(lock.key, { lock, mode });
    else if (mode === 'exclusive') known.mode = mode;
  }
  return [...wanted.values()].sort(byOrder);
}

/**
 * Compares locks by an order that is the same in all processes: by store, namespace and name.
 *
 * @internal
 */
export function byOrder(a: { readonly lock: StoredLock }, b: { readonly lock: StoredLock }): number {
  return compare(a.lock.order, b.lock.order);
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
