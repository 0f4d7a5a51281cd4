// Where a middleware gets its locks from. The HTTP forms know this interface alone, so that the same middleware runs
// on locks between processes, on locks of one process, or on anything a user provides.

import type { Held } from './held.js';
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

/** A lock as the HTTP forms use it. */
export interface StoreLock {
  /** Takes the lock if it is free; `null` when it is held. Throws when it cannot be had for another reason. */
  tryAcquire(): Held | null;
}

/** A source of locks. Two calls of `open` with the same name and request give the same lock. */
export interface LockStore {
  /** The lock of that name; nothing is acquired yet. */
  open(name: string, request: StoreRequest): StoreLock;
}

/** Locks between all processes of this user on this machine: what `Lock` and `Semaphore` are. The default. */
export const processStore: LockStore = {
  open: (name, { namespace, permits, keyed }) =>
    new NamedLock('processStore.open()', name, { namespace, permits, named: !keyed }),
};

/**
 * Locks of one process alone, {@link ThreadLock}: cluster workers do not exclude each other with it. There to show
 * the difference; it has one permit for each name, whatever is asked for.
 */
export const threadStore: LockStore = {
  open: (name, { namespace }) => new ThreadLock(`${namespace}\0${name}`),
};
