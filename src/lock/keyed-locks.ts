// The lock objects behind names that are made while the program runs. Opening one anew for each use would be slow, and
// keeping all of them would let those who choose the names fill the memory.

/**
 * Keeps the locks that were used last. One that is dropped while it is held stays held: its `Held` lives on, and the
 * next object of that name is the same lock.
 */
export class KeyedLocks<L> {
  readonly #open: (name: string) => L;
  readonly #capacity: number;
  /** In the order of their last use: a Map iterates as it was filled. */
  readonly #locks = new Map<string, L>();

  constructor(open: (name: string) => L, capacity = 256) {
    this.#open = open;
    this.#capacity = capacity;
  }

  /** The lock of that name. Throws what opening it throws. */
  get(name: string): L {
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
