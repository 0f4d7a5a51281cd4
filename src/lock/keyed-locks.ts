// The lock objects behind names that are made while the program runs. Opening one anew for each use would be slow, and
// keeping all of them would let those who choose the names fill the memory.

import { NamedLock } from './named-lock.js';

/**
 * Keeps the locks that were used last, `capacity` at most and half of that at least. One that is dropped while it is
 * held stays held: its `Held` lives on, and the next object of that name is the same lock.
 */
export class KeyedLocks<L extends object> {
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
    const lock = kept.older.get(name) ?? this.#opened(name);
    kept.older.delete(name);
    if (kept.recent.size >= this.#half) {
      closeAll(kept.older);
      kept.older = kept.recent;
      kept.recent = new Map();
    }
    kept.recent.set(name, lock);
    return lock;
  }

  #opened(name: string): L {
    const lock = this.#open(name);
    if (lock instanceof NamedLock) lock.closeByHand();
    return lock;
  }
}

/** Two generations, so that a name that is in use costs one look and no change. */
interface Kept<L> {
  recent: Map<string, L>;
  older: Map<string, L>;
}

/** For the caches that nobody refers to any more, as those of a middleware that was taken out of service. */
const forgotten = new FinalizationRegistry<Kept<object>>(({ recent, older }) => {
  closeAll(recent);
  closeAll(older);
});

/** Other locks than ours, such as those of a user's store, have nothing to close. */
function closeAll(locks: Map<string, object>): void {
  for (const lock of locks.values()) {
    if (lock instanceof NamedLock) lock.close();
  }
}
