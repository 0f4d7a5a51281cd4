// Several locks in one hand.

import { releaseAfter } from './at-least.js';
import type { SemlockError } from './errors.js';
import type { Held, Hold } from './hold.js';
import type { LockMode } from './store.js';
import { now } from './timers.js';

/** What {@link acquireAll} gives, and what a request holds by the option `files`: holds of several locks as one. */
export class Holds implements Held {
  /** One for each lock, in the order in which they were acquired. */
  readonly holds: readonly Hold[];

  /** @internal */
  constructor(holds: readonly Hold[]) {
    this.holds = holds;
  }

  /** The names of the locks, with commas between them. */
  get name(): string {
    return this.holds.map(({ name }) => name).join(', ');
  }

  /** `'exclusive'` if one of them is held so. */
  get mode(): LockMode {
    return this.holds.some(({ mode }) => mode === 'exclusive') ? 'exclusive' : 'shared';
  }

  /** The largest of their fencing tokens. It grows from holder to holder of the same locks. */
  get token(): number {
    return Math.max(0, ...this.holds.map(({ token }) => token));
  }

  /** Whether the previous holder of one of them died while it held that. */
  get abandoned(): boolean {
    return this.holds.some(({ abandoned }) => abandoned);
  }

  /** Whether all of them were given back. */
  get released(): boolean {
    return this.holds.every(({ released }) => released);
  }

  /** Aborts when one of them is lost: see {@link Hold.signal}. */
  get signal(): AbortSignal {
    return AbortSignal.any(this.holds.map(({ signal }) => signal));
  }

  /** Why one of them was lost, as far as is known. */
  get lost(): SemlockError | undefined {
    return this.holds.find(({ lost }) => lost !== undefined)?.lost;
  }

  /** Releases all of them, the last one first. `true` when all of them were held until now. */
  release(): boolean {
    return this.holds
      .toReversed()
      .map((hold) => hold.release())
      .every(Boolean);
  }

  /**
   * Calls `work`, and releases when the result has settled, whatever it is; but not before `atLeastMs` are over.
   *
   * @internal
   */
  async during<T>(work: (holds: Holds) => T | PromiseLike<T>, atLeastMs = 0): Promise<Awaited<T>> {
    const end = now() + atLeastMs;
    let result: Awaited<T>;
    try {
      result = await work(this);
    } finally {
      if (end > now()) releaseAfter(this, end - now());
      else await this[Symbol.asyncDispose]();
    }
    if (this.lost !== undefined) throw this.lost;
    return result;
  }

  /** Releases at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Releases at the end of an `await using` block, and waits for the stores' answers. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await Promise.all(this.holds.map((hold) => hold[Symbol.asyncDispose]()));
  }
}
