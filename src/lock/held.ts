// What the holder of a lock has in hand: the right to release it, once.

/** How a lock is held: by one alone, or by several readers together. */
export type LockMode = 'exclusive' | 'shared';

/** A permit of a lock, from the moment it was acquired until it is released. */
export interface Held {
  /** The lock's name. */
  readonly name: string;
  /** How it is held. */
  readonly mode: LockMode;
  /**
   * The fencing token: a safe integer, larger than that of every earlier holder of this lock. A resource that remembers
   * the largest token it has seen can refuse a holder that comes late.
   */
  readonly token: number;
  /** `true` when the holder before died with the lock in hand, so that what it protects may be half done. */
  readonly abandoned: boolean;
  /** Aborts when this permit is lost: when another has stolen the lock. Not when it is released. */
  readonly signal: AbortSignal;
  /** `true` once this permit was given back. */
  readonly released: boolean;
  /**
   * Gives the permit back. Only the first call does; it returns `true`, every later one `false` and changes nothing, as
   * does the release of a permit that was stolen. It never throws and never waits.
   */
  release(): boolean;
  /** Releases at the end of a `using` block. */
  [Symbol.dispose](): void;
  /** Releases at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A permit that is given back before anybody has used it. */
export interface Declinable {
  /** As {@link Held.release}, but whoever has it next is told what this one would have been: see {@link Held.abandoned}. */
  decline(): void;
}

/** Gives back what came too late. */
export function decline(held: Held & Partial<Declinable>): void {
  if (held.decline === undefined) held.release();
  else held.decline();
}

/**
 * The part of {@link Held} that is the same whatever the lock is made of. It has no fields: V8 does not inline the
 * constructor of a base class that has some, which would be a tenth of what a lock costs (Node.js 20).
 */
export abstract class HeldOnce implements Held {
  abstract readonly name: string;
  abstract readonly mode: LockMode;
  abstract readonly token: number;
  abstract readonly abandoned: boolean;
  abstract readonly signal: AbortSignal;
  abstract readonly released: boolean;

  /** Called while `released` is `false`, to make it `true`; whether there was something to give back. */
  protected abstract giveBack(): boolean;

  release(): boolean {
    return !this.released && this.giveBack();
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}
