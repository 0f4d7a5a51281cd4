// What the holder of a lock has in hand: the right to release it, once.

/** A permit of a lock, from the moment it was acquired until it is released. */
export interface Held {
  /** The lock's name. */
  readonly name: string;
  /** `true` once this permit was given back. */
  readonly released: boolean;
  /**
   * Gives the permit back. Only the first call does; it returns `true`, every later one `false` and changes nothing.
   * It never throws.
   */
  release(): boolean;
  /** Releases at the end of a `using` block. */
  [Symbol.dispose](): void;
  /** Releases at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A permit that is given back by calling `giveBack`. */
export class HeldPermit implements Held {
  readonly name: string;
  #giveBack: (() => void) | undefined;

  constructor(name: string, giveBack: () => void) {
    this.name = name;
    this.#giveBack = giveBack;
  }

  get released(): boolean {
    return this.#giveBack === undefined;
  }

  release(): boolean {
    const giveBack = this.#giveBack;
    if (giveBack === undefined) return false;
    this.#giveBack = undefined;
    giveBack();
    return true;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}
