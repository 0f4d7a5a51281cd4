// All that the HTTP forms know of locks, in one place: how one is opened, tried, waited for and given back.

import { defaultStore, storeOption } from '../../default-store.js';
import type { Held, Hold } from '../../hold.js';
import { KeyedLocks } from '../../keyed-locks.js';
import { MAX_PERMITS } from '../../semaphore.js';
import type { LockMode, LockStore } from '../../store.js';
import { isTimeout, MAX_TIMER_MS, StoredLock, type TryOptions } from '../../stored-lock.js';
import { processStore } from '../../stores/process/process-store.js';

export { KeyedLocks, MAX_PERMITS, MAX_TIMER_MS, StoredLock, storeOption };
export type { Held, Hold, LockMode, LockStore };

/** What a lock is asked for in each mode. Exclusive is the default, and the store's quickest way. */
const HOW: Record<LockMode, TryOptions | undefined> = { exclusive: undefined, shared: { mode: 'shared' } };

/** Takes the lock if it is free; `null` also where its store has to be asked, see {@link StoredLock.isSync}. */
export function tryNow(lock: StoredLock, mode: LockMode): Hold | null {
  return lock.isSync ? lock.tryAcquire(HOW[mode]) : null;
}

/** Waits in turn; `null` when the time is over. Rejects when `signal` aborts, or the lock cannot be had at all. */
export async function waitInTurn(
  lock: StoredLock,
  mode: LockMode,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Hold | null> {
  if (timeoutMs === 0) return await lock.acquire({ mode, signal, ifAvailable: true });
  try {
    return await lock.acquire({ mode, timeoutMs, signal });
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
export function storeIdentity(store: LockStore = defaultStore()): unknown {
  return store === processStore ? 'processes' : store;
}
