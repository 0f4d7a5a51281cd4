// The lock objects behind names that are made while the program runs. Opening one anew for each use would be slow, and
// keeping all of them would let those who choose the names fill the memory.

/**
 * Keeps the locks that were used last, `capacity` at most and half of that at least. One that is dropped while it is
 * held stays held: its `Hold` lives on, and the next object of that name is the same lock.
 */
export class KeyedLocks<L extends Closable> {
  readonly #open: (name: string) => L;
  readonly #half: number;
  readonly #kept: Kept<L> = { recent: new Map(), older: new Map() };

  constructor(open: (name: string) => L, capacity = 512) {
    this.#open = open;
    this.#half = capacity / 2;
    forgotten.register(this, this.#kept);
  }

  /** The lock of that name. Throws what opening it throws. */
  get(name: string): L {
    const kept = this.#kept;
    const recent = kept.recent.get(name);
    if (recent !== undefined) return recent;
    const lock = kept.older.get(name) ?? this.#open(name);
    kept.older.delete(name);
    if (kept.recent.size >= this.#half) {
      closeAll(kept.older);
      kept.older = kept.recent;
      kept.recent = new Map();
    }
    kept.recent.set(name, lock);
    return lock;
  }
}

/** A lock whose owner says when it is done with it. */
interface Closable {
  close(): void;
}

/** Two generations, so that a name that is in use costs one look and no change. */
interface Kept<L> {
  recent: Map<string, L>;
  older: Map<string, L>;
}

/** For the caches that nobody refers to any more, as those of a middleware that was taken out of service. */
const forgotten = new FinalizationRegistry<Kept<Closable>>(({ recent, older }) => {
  closeAll(recent);
  closeAll(older);
});

function closeAll(locks: Map<string, Closable>): void {
  for (const lock of locks.values()) lock.close();
}
