// What the callback of a request is given: the `Lock` of the Web Locks API, with a little more. It has another name
// here, because `Lock` is semlock's own class.

import { HeldOnce, type Held, type LockMode } from './held.js';

/**
 * A lock that a request was granted: `Lock` in the Web Locks API, https://w3c.github.io/web-locks/#api-lock. That has
 * `name` and `mode` alone.
 */
export class GrantedLock {
  readonly #held: Held;

  /** @internal */
  constructor(held: Held) {
    if (!(held instanceof HeldOnce)) throw new TypeError('Illegal constructor');
    this.#held = held;
  }

  /** The name that was requested. */
  get name(): string {
    return this.#held.name;
  }

  /** How it is held. */
  get mode(): LockMode {
    return this.#held.mode;
  }

  /** The fencing token, as {@link Held.token}. */
  get token(): number {
    return this.#held.token;
  }

  /** `true` when the holder before died with the lock in hand, so that what it protects may be half done. */
  get abandoned(): boolean {
    return this.#held.abandoned;
  }

  /** Aborts when another has stolen the lock; not when it is released. */
  get signal(): AbortSignal {
    return this.#held.signal;
  }

  /** Releases the lock before the callback ends: at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#held[Symbol.asyncDispose]();
  }

  /** As the Web Locks API calls it. */
  get [Symbol.toStringTag](): string {
    return 'Lock';
  }
}
