// The lock objects behind names that are made per request. Opening one anew for each request would be slow, and keeping
// all of them would let clients fill the memory with names.

import type { StoreLock } from '../lock/store.js';

/**
 * Keeps the locks that were used last. One that is dropped while it is held stays held: its `Held` lives on, and the
 * next object of that name is the same lock.
 */
export class KeyedLocks {
  readonly #open: (name: string) => StoreLock;
  readonly #capacity: number;
  /** In the order of their last use: a Map iterates as it was filled. */
  readonly #locks = new Map<string, StoreLock>();

  constructor(open: (name: string) => StoreLock, capacity = 256) {
    this.#open = open;
    this.#capacity = capacity;
  }

  /** The lock of that name. Throws what opening it throws. */
  get(name: string): StoreLock {
    const known = this.#locks.get(name);
    if (known !== undefined) this.#locks.delete(name);
    const lock = known ?? this.#open(name);
    this.#locks.set(name, lock);
    if (this.#locks.size > this.#capacity) this.#dropOldest();
    return lock;
  }

  #dropOldest(): void {
    for (const oldest of this.#locks.keys()) {
      this.#locks.delete(oldest);
      return;
    }
  }
}
