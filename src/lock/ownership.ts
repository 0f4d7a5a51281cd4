// Who has a reentrant lock in this thread, and how often: an async context, the thread as a whole, or whoever has the
// `Held` in hand.

import { AsyncLocalStorage } from 'node:async_hooks';

import { SemlockError } from '../errors.js';
import { HeldOnce, type Held, type LockMode } from './held.js';

/** What the current async context owns, by the keys of the locks. Contexts that are started inside of it inherit it. */
const contexts = new AsyncLocalStorage<ReadonlyMap<string, Ownership>>();

/** What this thread owns, by the keys of the locks. */
const threadOwned = new Map<string, Ownership>();

/** A lock that was acquired once and is taken again and again, until all of that is released. */
export class Ownership {
  readonly held: Held;
  readonly #key: string;
  readonly #owner: 'context' | 'thread' | 'bearer';
  #count = 0;

  private constructor(key: string, held: Held, owner: 'context' | 'thread' | 'bearer') {
    this.#key = key;
    this.held = held;
    this.#owner = owner;
  }

  /** What the async context that calls this owns of that lock; nothing, if it was released or stolen. */
  static ofContext(key: string): Ownership | undefined {
    return live(contexts.getStore()?.get(key));
  }

  /** What this thread owns of that lock. */
  static ofThread(key: string): Ownership | undefined {
    return live(threadOwned.get(key));
  }

  /** Calls `work` in a new async context that owns the lock. */
  static inContext<T>(key: string, held: Held, work: (mine: Ownership) => T): T {
    const mine = new Ownership(key, held, 'context');
    const others = [...(contexts.getStore() ?? [])].filter(([, { isOver }]) => !isOver);
    return contexts.run(new Map([...others, [key, mine]]), () => work(mine));
  }

  /** Makes this thread the owner. */
  static inThread(key: string, held: Held): Ownership {
    const mine = new Ownership(key, held, 'thread');
    threadOwned.set(key, mine);
    return mine;
  }

  /** Makes whoever has the `Held` the owner. Nobody else can take the lock again. */
  static ofBearer(key: string, held: Held): Ownership {
    return new Ownership(key, held, 'bearer');
  }

  /** Whether all that was entered has been left. */
  get isOver(): boolean {
    return this.#count === 0;
  }

  /** Takes the lock once more. */
  enter(): Held {
    this.#count += 1;
    return new ReentrantHeld(this);
  }

  /** Gives back what one {@link enter} took; the lock itself with the last one. */
  leave(): boolean {
    this.#count -= 1;
    if (this.#count > 0) return true;
    if (threadOwned.get(this.#key) === this) threadOwned.delete(this.#key);
    return this.held.release();
  }

  /** @throws {@link SemlockError} `ERR_SEMLOCK_NOT_OWNER` in another async context than the owner. */
  checkOwner(): void {
    if (this.#owner !== 'context' || contexts.getStore()?.get(this.#key) === this) return;
    const message = `the lock "${this.held.name}" belongs to another async context, which alone can release it`;
    throw new SemlockError('ERR_SEMLOCK_NOT_OWNER', message, { lockName: this.held.name });
  }
}

function live(ownership: Ownership | undefined): Ownership | undefined {
  return ownership === undefined || ownership.isOver || ownership.held.signal.aborted ? undefined : ownership;
}

class ReentrantHeld extends HeldOnce {
  readonly mode: LockMode;
  readonly token: number;
  readonly abandoned: boolean;
  readonly #ownership: Ownership;
  #released = false;

  constructor(ownership: Ownership) {
    super();
    const { mode, token, abandoned } = ownership.held;
    this.mode = mode;
    this.token = token;
    this.abandoned = abandoned;
    this.#ownership = ownership;
  }

  get name(): string {
    return this.#ownership.held.name;
  }

  get signal(): AbortSignal {
    return this.#ownership.held.signal;
  }

  get released(): boolean {
    return this.#released;
  }

  override release(): boolean {
    if (!this.#released) this.#ownership.checkOwner();
    return super.release();
  }

  protected giveBack(): boolean {
    this.#released = true;
    return this.#ownership.leave();
  }
}
