// The owner of a reentrant lock in this thread, and how often it has the lock: an async context, the thread as a whole, or
// the code that has the `Hold`.

import { AsyncLocalStorage } from 'node:async_hooks';

import { SemlockError } from './errors.js';
import { Hold, type HoldSubject } from './hold.js';
import type { Grant } from './store.js';

/** What the current async context owns, by the keys of the locks. Contexts that are started inside of it inherit it. */
const contexts = new AsyncLocalStorage<ReadonlyMap<string, Ownership>>();

/** What this thread owns, by the keys of the locks. */
const threadOwned = new Map<string, Ownership>();

/** A lock that was acquired once. Its owner can take it again; it is free when all of that is released. */
export class Ownership {
  readonly hold: Hold;
  readonly #key: string;
  readonly #owner: 'context' | 'thread' | 'bearer';
  readonly #subject: HoldSubject;
  #count = 0;

  private constructor(key: string, hold: Hold, owner: 'context' | 'thread' | 'bearer') {
    this.#key = key;
    this.hold = hold;
    this.#owner = owner;
    this.#subject = { name: hold.name, namespace: '', quiet: true, opened: this };
  }

  /** What the calling async context owns of that lock; nothing, if it was released or stolen. */
  static ofContext(key: string): Ownership | undefined {
    return live(contexts.getStore()?.get(key));
  }

  /** What this thread owns of that lock. */
  static ofThread(key: string): Ownership | undefined {
    return live(threadOwned.get(key));
  }

  /** Calls `work` in a new async context that owns the lock. */
  static inContext<T>(key: string, hold: Hold, work: (mine: Ownership) => T): T {
    const mine = new Ownership(key, hold, 'context');
    const others = [...(contexts.getStore() ?? [])].filter(([, { isOver }]) => !isOver);
    return contexts.run(new Map([...others, [key, mine]]), () => work(mine));
  }

  /** Makes this thread the owner. */
  static inThread(key: string, hold: Hold): Ownership {
    const mine = new Ownership(key, hold, 'thread');
    threadOwned.set(key, mine);
    return mine;
  }

  /** Makes the code that has the `Hold` the owner. No other code can take the lock again. */
  static ofBearer(key: string, hold: Hold): Ownership {
    return new Ownership(key, hold, 'bearer');
  }

  /** Whether all that was entered has been left. */
  get isOver(): boolean {
    return this.#count === 0;
  }

  /** Takes the lock once more. */
  enter(): Hold {
    this.#count += 1;
    return new Hold(this.#subject, this.hold.mode, this.hold);
  }

  /** Gives back what one {@link enter} took; the lock itself with the last one. */
  release(): boolean | Promise<boolean> {
    this.#checkOwner();
    this.#count -= 1;
    if (this.#count > 0) return true;
    if (threadOwned.get(this.#key) === this) threadOwned.delete(this.#key);
    return this.hold.giveBack();
  }

  onLost(_grant: Grant, tell: (why: string, cause?: unknown) => void): void {
    const { signal } = this.hold;
    const lost = () => tell('its owner has lost it', signal.reason);
    if (signal.aborted) lost();
    else signal.addEventListener('abort', lost, { once: true });
  }

  checkTime(): void {
    this.hold.checkTime();
  }

  /** @throws {@link SemlockError} `ERR_SEMLOCK_NOT_OWNER` in another async context than the owner. */
  #checkOwner(): void {
    if (this.#owner !== 'context' || contexts.getStore()?.get(this.#key) === this) return;
    const message = `the lock "${this.hold.name}" belongs to another async context, which alone can release it`;
    throw new SemlockError('ERR_SEMLOCK_NOT_OWNER', message, { lockName: this.hold.name });
  }
}

function live(ownership: Ownership | undefined): Ownership | undefined {
  return ownership === undefined || ownership.isOver || ownership.hold.signal.aborted ? undefined : ownership;
}
