// Several locks at once, for work that has to do with all of them, as a copy of one file to another has.

import { describe, SemlockError } from './errors.js';
import type { Hold } from './hold.js';
import { abortSignal, flag, integer, optionParser } from './options.js';
import type { LockMode } from './store.js';
import { isTimeout, MAX_TIMER_MS, StoredLock, type AcquireOptions } from './stored-lock.js';

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
 * Acquires all of these locks or none. Whoever asks for several of them by this takes them in one order, whatever the
 * order in which they are given, so that two who want the same ones do not wait for each other.
 *
 * A lock that is given twice is taken once, exclusively if it is so in one place.
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
  const { timeoutMs, signal, ifAvailable = false } = parseOptions('acquireAll()', options);
  const end = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs;
  const holds: Hold[] = [];
  try {
    for (const { lock, mode } of inOrder(locks)) {
      const left = Math.max(0, Math.ceil(end - performance.now()));
      const limits = { mode, ...(signal && { signal }), ...(end < Infinity && { timeoutMs: left }) };
      const hold = await (ifAvailable ? lock.acquire({ mode, signal, ifAvailable }) : lock.acquire(limits));
      if (hold === null) {
        await new Holds(holds)[Symbol.asyncDispose]();
        return null;
      }
      holds.push(hold);
    }
  } catch (error) {
    await new Holds(holds)[Symbol.asyncDispose]();
    if (!isTimeout(error)) throw error;
    const { lockName = '' } = error as SemlockError;
    const message = `not all of ${locks.length} locks were free within ${timeoutMs} ms: "${lockName}" was not`;
    throw new SemlockError('ERR_SEMLOCK_TIMEOUT', message, { lockName });
  }
  return new Holds(holds);
}

/** What {@link acquireAll} gives. */
export class Holds {
  /** One for each lock, in the order in which they were acquired. */
  readonly holds: readonly Hold[];

  /** @internal */
  constructor(holds: readonly Hold[]) {
    this.holds = holds;
  }

  /** Aborts when one of them is lost: see {@link Hold.signal}. */
  get signal(): AbortSignal {
    return AbortSignal.any(this.holds.map(({ signal }) => signal));
  }

  /** Releases all of them, the last one first. `true` when all of them were held until now. */
  release(): boolean {
    return this.holds
      .toReversed()
      .map((hold) => hold.release())
      .every(Boolean);
  }

  /** Releases at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Releases at the end of an `await using` block, and waits for the stores' answers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await Promise.all(this.holds.map((hold) => hold[Symbol.asyncDispose]()));
  }
}

/** The same in all processes: by store, namespace and name. */
function inOrder(locks: readonly LockOrMode[]): { lock: StoredLock; mode: LockMode }[] {
  const wanted = new Map<string, { lock: StoredLock; mode: LockMode }>();
  for (const each of locks) {
    const { lock, mode } = each instanceof StoredLock ? { lock: each, mode: 'exclusive' as const } : each;
    if (!(lock instanceof StoredLock)) {
      throw new TypeError(`acquireAll(): a list of locks is needed, but ${describe(lock)} is among them`);
    }
    const known = wanted.get(lock.key);
    if (known === undefined) wanted.set(lock.key, { lock, mode });
    else if (mode === 'exclusive') known.mode = mode;
  }
  return [...wanted.values()].sort((a, b) => compare(a.lock.order, b.lock.order));
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
