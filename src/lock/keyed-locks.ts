// The lock objects behind names that are made while the program runs. Opening one anew for each use would be slow, and
// keeping all of them would let those who choose the names fill the memory.

/**
 * Keeps the locks that were used last, `capacity` at most and half of that at least. One that is dropped while it is
 * held stays held: its `Held` lives on, and the next object of that name is the same lock.
 */
export class KeyedLocks<L> {
  readonly #open: (name: string) => L;
  readonly #half: number;
  /** Two generations, so that a name that is in use costs one look and no change. */
  #recent = new Map<string, L>();
  #older = new Map<string, L>();

  constructor(open: (name: string) => L, capacity = 512) {
    this.#open = open;
    this.#half = capacity / 2;
  }

  /** The lock of that name. Throws what opening it throws. */
  get(name: string): L {
    const recent = this.#recent.get(name);
    if (recent !== undefined) return recent;
    const lock = this.#older.get(name) ?? this.#open(name);
    if (this.#recent.size >= this.#half) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(name, lock);
    return lock;
  }
}
