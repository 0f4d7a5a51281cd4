// When a request is done with a lock. The end of the connection is not the end of the request: a client that disconnects
// does not stop the handler, and the file is still being processed.

import type { SemlockError } from '../../errors.js';
import { holdBegins } from '../../observe/channels.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import type { Exchange } from './exchange.js';
import type { Held, LockIdentity, LockMode } from './locks.js';
import { reportOrphaned } from './orphan.js';
import { superviseClient, type Limits, type Supervision } from './idle-clients.js';

/** How long a lock may be held in an exchange, as the options say. */
export interface HoldLimits extends Limits {
  /** `undefined`: {@link ORPHAN_AFTER_MS}, but without limit for a promise. */
  readonly orphanAfterMs: number | undefined;
  readonly endsWithClient: boolean;
}

/** How long a handler keeps the lock whose end nothing but the response can tell, when its client has left. */
const ORPHAN_AFTER_MS = 30_000;

/**
 * One lock of one exchange, held until everybody is done who has entered with it: those behind the guard that took it,
 * and behind each further one of that lock. When what is behind a guard has returned, say with {@link untilAnswered},
 * {@link during} or {@link leave} what ends its part.
 */
export class RequestHold implements Held {
  readonly name: string;
  readonly mode: LockMode;
  readonly token: number;
  readonly abandoned: boolean;
  readonly lock: LockIdentity;
  readonly exchange: Exchange;

  readonly #held: Held;
  readonly #limits: HoldLimits;
  readonly #beginning = holdBegins();
  /** How many have entered and are not done, and how many of these are done when the answer is. */
  #entered = 0;
  #answering = 0;
  #released = false;
  #orphaning: NodeJS.Timeout | undefined;
  #supervision: Supervision | undefined;

  /** Takes charge of `held`. It must be said in the same turn of the event loop what ends it: no event comes before. */
  constructor(exchange: Exchange, lock: LockIdentity, held: Held, limits: HoldLimits) {
    this.name = lock.name;
    this.mode = held.mode;
    this.token = held.token;
    this.abandoned = held.abandoned;
    this.lock = lock;
    this.exchange = exchange;
    this.#held = held;
    this.#limits = limits;
    exchange.add(this);
  }

  get signal(): AbortSignal {
    return this.#held.signal;
  }

  get lost(): SemlockError | undefined {
    return this.#held.lost;
  }

  get released(): boolean {
    return this.#released;
  }

  release(): boolean {
    if (this.#released) return false;
    this.#released = true;
    if (this.#orphaning !== undefined) clearTimeout(this.#orphaning);
    this.#supervision?.end();
    const had = this.#held.release();
    this.exchange.remove(this);
    return had;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return this.#held[Symbol.asyncDispose]();
  }

  /** Another one comes behind a guard of this lock, who has to say what ends that. */
  enter(): this {
    this.#entered += 1;
    return this;
  }

  /** One of those who entered is done. */
  leave(): void {
    this.#entered -= 1;
    if (this.#entered === 0) this.release();
  }

  /** Stays until the answer is over, which it may be already. */
  untilAnswered(): void {
    if (this.exchange.answerOver) this.leave();
    else this.#answering += 1;
  }

  /** One of those who stay until the answer is over leaves before, if it is not. */
  leaveUnanswered(): void {
    if (this.#answering === 0) return;
    this.#answering -= 1;
    this.leave();
  }

  /** Stays until `work` has settled, whatever becomes of the answer, and gives its result. */
  async during<T>(work: PromiseLike<T>): Promise<T> {
    try {
      return await work;
    } finally {
      this.leave();
    }
  }

  /** The handler has done all that it will do to the answer. */
  answerIsOver(): void {
    while (this.#answering > 0) this.leaveUnanswered();
  }

  /** The client has gone. The lock stays for the handler, for a while. */
  clientLeft(): void {
    if (this.#limits.endsWithClient) this.answerIsOver();
    if (this.#released || this.#orphaning !== undefined) return;
    const afterMs = this.#limits.orphanAfterMs ?? ORPHAN_AFTER_MS;
    this.#orphaning = setTimeout(() => this.#orphan(afterMs), afterMs).unref();
  }

  /** Disconnects the client when it does nothing for too long while this is held. */
  superviseClient(): void {
    this.#supervision ??= superviseClient(this.exchange, this.lock, this.#limits);
  }

  #orphan(afterMs: number): void {
    if (this.#released) return;
    // A promise tells when the work is over. Only the user can know that it will not.
    if (this.#limits.orphanAfterMs === undefined && this.#entered > this.#answering) {
      this.answerIsOver();
      return;
    }
    this.release();
    reportOrphaned(this, this.#beginning, afterMs);
  }
}
