// All that the HTTP forms know of locks, in one place: how one is opened, tried, waited for and given back.

import { decline, type Held, type LockMode } from '../../lock/held.js';
import { KeyedLocks } from '../../lock/keyed-locks.js';
import { isTimeout, MAX_TIMER_MS } from '../../lock/named-lock.js';
import { MAX_PERMITS } from '../../lock/semaphore.js';
import { processStore, type LockStore, type StoreLock, type StoreTry } from '../../lock/store.js';

export { decline, KeyedLocks, MAX_PERMITS, MAX_TIMER_MS, processStore };
export type { Held, LockMode, LockStore, StoreLock };

/** What a lock is asked for in each mode. Exclusive is the default, and the store's quickest way. */
const HOW: Record<LockMode, StoreTry | undefined> = { exclusive: undefined, shared: { mode: 'shared' } };

/** Takes the lock if it is free. */
export function tryNow(lock: StoreLock, mode: LockMode): Held | null {
  return lock.tryAcquire(HOW[mode]);
}

/** Waits in turn; `null` when the time is over. Rejects when `signal` aborts, or the lock cannot be had at all. */
export async function waitInTurn(
  lock: StoreLock,
  mode: LockMode,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Held | null> {
  try {
    return await lock.acquire!({ ...HOW[mode], timeoutMs, signal });
  } catch (error) {
    if (isTimeout(error)) return null;
    throw error;
  }
}

/** What tells one lock from all others, whichever copy of this package in the process took it. */
export interface LockIdentity {
  readonly store: unknown;
  readonly namespace: string;
  readonly name: string;
}

/** The store as part of an identity: the one between processes is the same in all copies of this package. */
export function storeIdentity(store: LockStore): unknown {
  return store === processStore ? 'processes' : store;
}
