// Where a middleware gets its locks from. The HTTP forms know this interface alone, so that the same middleware runs
// on locks between processes, on locks of one process, or on anything a user provides.

import type { Held } from './held.js';
import { Lock } from './lock.js';
import { Semaphore } from './semaphore.js';
import { ThreadLock } from './thread-lock.js';

/** What a store is asked for. */
export interface StoreRequest {
  /** The namespace that was given as an option, or `undefined` for the default one. */
  readonly namespace: string | undefined;
  /** How many can hold the lock at once. */
  readonly permits: number;
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

/** Locks between all processes of this user on this machine: {@link Lock} and {@link Semaphore}. The default. */
export const processStore: LockStore = {
  open: (name, { namespace, permits }) =>
    permits === 1 ? new Lock(name, { namespace }) : new Semaphore(name, { namespace, permits }),
};

/**
 * Locks of one process alone, {@link ThreadLock}: cluster workers do not exclude each other with it. There to show
 * the difference; it has one permit for each name, whatever is asked for.
 */
export const threadStore: LockStore = {
  open: (name, { namespace }) => new ThreadLock(`${namespace ?? ''}\0${name}`),
};
