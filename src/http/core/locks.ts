// What tells the lock of a form from all others, and how it is asked for.

import type { Hold } from '../../hold.js';
import type { LockMode } from '../../store.js';
import { isTimeout, type StoredLock, type TryOptions } from '../../stored-lock.js';
import { processStore } from '../../stores/process/process-store.js';

/** What a lock is asked for in each mode. Exclusive is the default, and the store's quickest way. */
const HOW: Record<LockMode, TryOptions | undefined> = { exclusive: undefined, shared: { mode: 'shared' } };

/** Takes the lock if it is free; `null` also where its store has to be asked, see {@link StoredLock.isSync}. */
export function tryNow(lock: StoredLock, mode: LockMode): Hold | null {
  return lock.isSync ? lock.tryAcquire(HOW[mode]) : null;
}

/** Waits in turn; `null` when the time is over. Rejects when `signal` aborts, or the lock cannot be taken at all. */
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

/** A lock of a form, with what tells it from all others, whichever copy of this package in the process takes it. */
export class FormLock {
  readonly stored: StoredLock;
  readonly name: string;
  readonly namespace: string;
  #store: unknown;

  constructor(stored: StoredLock) {
    this.stored = stored;
    this.name = stored.name;
    this.namespace = stored.namespace;
  }

  /** The store as part of an identity: the one between processes is the same in all copies of this package. */
  get store(): unknown {
    const { store, owners } = this.stored;
    return (this.#store ??= store === processStore ? `processes ${owners}` : store);
  }

  close(): void {
    this.stored.close();
  }
}
