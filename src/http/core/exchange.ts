// A request and its answer, as the rules for locks see them. Each framework has an adapter that extends this; what
// follows from what it tells is the same in all of them.

import { setImmediate } from '../../timers.js';
import type { LockIdentity } from './locks.js';
import type { RequestHold } from './request-hold.js';

/**
 * What becomes of an exchange:
 *
 * - `answered`: the handler has given the whole answer. Told before the client can read the last byte of it.
 * - `given up`: the handler will not answer, and has said so: it destroyed the response, or its stream failed.
 * - `left`: the client has gone, and the handler works on. One of the other two may still follow.
 */
export type ExchangeEnd = 'answered' | 'given up' | 'left';

const NONE: readonly RequestHold[] = [];

/**
 * What an adapter extends. It calls {@link tell}, and {@link settle} when it is time to let out what it has held back.
 *
 * The end of an answer must not be readable before the locks of its request are free. So from {@link holdBack} on the
 * adapter keeps what the handler sends, at least what could be the end of it, until {@link letOut}.
 */
export abstract class Exchange {
  /** All that is held in it; made anew with each change, because as a rule there is one. */
  #holds: readonly RequestHold[] = NONE;
  /** How many calls of {@link enter} have not been followed by {@link exit}. */
  #inside = 0;
  #over = false;
  #watching = false;

  /** Whether a handler would have nobody to answer to: the answer was given, or the client has gone. */
  abstract isOver(): boolean;
  /** Calls `leave` when the client goes while the request waits; gives what ends that. */
  abstract onLeave(leave: () => void): () => void;
  /** What the exchange is called in a warning, for example `GET /report`. */
  abstract title(): string;
  /** What a message on a diagnostics channel has of it. */
  abstract details(): object;
  /** Ends the connection of a client that does nothing; what follows is told as `left`. */
  abstract disconnect(): void;
  /** How much the client has taken of its answer, in any unit, while more of it waits; else `undefined`. */
  abstract taken(): number | undefined;
  /** How much of its body the client has sent, in any unit, while the handler waits for more; else `undefined`. */
  abstract sent(): number | undefined;

  /** Whether the handler has given the whole answer. */
  protected abstract isAnswered(): boolean;
  /** From now on the end of the answer waits for {@link letOut}. */
  protected abstract holdBack(): void;
  /** Lets out what was held back; `done` when no more needs to be. May be called again. */
  protected abstract letOut(done: boolean): void;
  /** The handler has returned, and will answer later: from now on {@link tell} what becomes of it. */
  protected abstract watch(): void;

  /** What is held of that lock already. */
  find({ name, namespace, store }: LockIdentity): RequestHold | undefined {
    return this.#holds.find(({ lock }) => lock.name === name && lock.namespace === namespace && lock.store === store);
  }

  /** Takes a new hold into account. */
  add(hold: RequestHold): void {
    this.#holds = this.#holds.length === 0 ? [hold] : [...this.#holds, hold];
  }

  /** A hold was released. */
  remove(hold: RequestHold): void {
    this.#holds = this.#holds.length === 1 ? NONE : this.#holds.filter((other) => other !== hold);
    if (this.#holds.length === 0 && this.#inside === 0) this.letOut(true);
  }

  /** To be called before what is behind a lock is called. */
  enter(): void {
    if (this.#inside === 0) this.holdBack();
    this.#inside += 1;
  }

  /** To be called when that has returned or thrown. */
  exit(): void {
    this.#inside -= 1;
    if (this.#inside === 0) this.settle();
  }

  /** Whether the handler has done all that it will do to the answer. */
  get answerOver(): boolean {
    return this.#over || this.isAnswered();
  }

  /** No handler will run that could answer. */
  nobodyAnswers(): void {
    this.tell('given up');
  }

  /** Releases what is over, then lets out what was held back. */
  settle(): void {
    if (!this.#over && this.isAnswered()) this.tell('answered');
    if (this.#holds.length === 0) this.letOut(true);
    else if (this.#over)
      setImmediate(() => this.letOut(true)); // a promise that is about to settle may do so before
    else {
      this.letOut(false);
      this.#watch();
    }
  }

  protected tell(end: ExchangeEnd): void {
    if (end !== 'left') this.#over = true;
    for (const hold of this.#holds) {
      if (end === 'left') hold.clientLeft();
      else hold.answerIsOver();
    }
  }

  #watch(): void {
    for (const hold of this.#holds) hold.superviseClient();
    if (this.#watching) return;
    this.#watching = true;
    this.watch();
  }
}
