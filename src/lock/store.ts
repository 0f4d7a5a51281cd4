// Where a middleware gets its locks from. The HTTP forms know this interface alone, so that the same middleware runs
// on locks between processes, on locks of one process, or on anything a user provides.

import type { Held, LockMode } from './held.js';
import { NamedLock } from './named-lock.js';
import { ThreadLock } from './thread-lock.js';

/** What a store is asked for. */
export interface StoreRequest {
  /** Keeps the locks of one app apart from those of others. */
  readonly namespace: string;
  /** How many can hold the lock at once. */
  readonly permits: number;
  /** Whether the name was made from a request, and so is one of many; otherwise it is fixed in the program. */
  readonly keyed: boolean;
}

/** How a lock of a store is tried. */
export interface StoreTry {
  /** Absent for an exclusive permit; `'shared'` only in stores that have {@link LockStore.canShare}. */
  readonly mode?: LockMode;
}

/** How long a lock of a store may be waited for. */
export interface StoreWait extends StoreTry {
  /** In milliseconds, 1 or more. */
  readonly timeoutMs: number;
  /** Ends the wait when it aborts. */
  readonly signal: AbortSignal;
}

/** A lock as the HTTP forms use it. */
export interface StoreLock {
  /** Takes the lock if it is free; `null` when it is held. Throws when it cannot be had for another reason. */
  tryAcquire(options?: StoreTry): Held | null;
  /**
   * Takes the lock when it is this caller's turn; needed in stores that have {@link LockStore.canWait}. Rejects with a
   * `SemlockError` `ERR_SEMLOCK_TIMEOUT` when the time is over, with the signal's reason when that aborts, and with
   * anything else when the lock cannot be had. A permit that meets the end of its wait has to be given back.
   */
  acquire?(options: StoreWait): Promise<Held>;
}

/** A source of locks. Two calls of `open` with the same name and request give the same lock. */
export interface LockStore {
  /** The lock of that name; nothing is acquired yet. */
  open(name: string, request: StoreRequest): StoreLock;
  /** Whether its locks can be waited for. Default `false`: then `waitMs` is refused. */
  readonly canWait?: boolean;
  /** Whether readers can hold its locks together. Default `false`: then the mode `'shared'` is refused. */
  readonly canShare?: boolean;
}

/** Locks between all processes of this user on this machine: what `Lock` and `Semaphore` are. The default. */
export const processStore: LockStore = {
  open: (name, { namespace, permits, keyed }) =>
    new NamedLock('processStore.open()', name, { namespace, permits, named: !keyed }),
  canWait: true,
  canShare: true,
};

/**
 * Locks of one process alone, {@link ThreadLock}: cluster workers do not exclude each other with it. There to show
 * the difference; it has one permit for each name, whatever is asked for.
 */
export const threadStore: LockStore = {
  open: (name, { namespace }) => new ThreadLock(`${namespace}\0${name}`),
};
