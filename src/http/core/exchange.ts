// A request and its answer, as the rules for locks see them. Each framework has an adapter that extends this; what
// follows from what it tells is the same in all of them.

import { clearTimeout, setImmediate, setTimeout } from '../../timers.js';
import type { LockUse } from './lock-use.js';
import type { FormLock } from './locks.js';

/**
 * What becomes of an exchange:
 *
 * - `answered`: the handler has given the whole answer. Told before the client can read the last byte of it.
 * - `given up`: the handler will not answer, and has said so: it destroyed the response, or its stream failed.
 * - `left`: the client has gone, and the handler works on. One of the other two may still follow.
 */
export type ExchangeEnd = 'answered' | 'given up' | 'left';

/** How long the end of an answer waits for a store to answer to the release. */
const RELEASE_MS = 5_000;

const NONE: readonly LockUse[] = [];

/**
 * What an adapter extends. It calls {@link tell}, and {@link settle} when it is time to let out what it has held back.
 *
 * The end of an answer must not be readable before the locks of its request are free. So from {@link holdBack} on the
 * adapter keeps what the handler sends, at least what could be the end of it, until {@link letOut}.
 */
export abstract class Exchange {
  /** All locks that are held in it; made anew with each change, because as a rule there is one. */
  #uses: readonly LockUse[] = NONE;
  /** How many calls of {@link enter} have not been followed by {@link exit}. */
  #inside = 0;
  #over = false;
  #watching = false;
  /** Settles when each store that was asked to release something has answered, or has taken too long. */
  #releasing: Promise<void> | undefined;

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
  find({ name, namespace, store }: FormLock): LockUse | undefined {
    if (this.#uses === NONE) return undefined;
    return this.#uses.find(({ lock }) => lock.name === name && lock.namespace === namespace && lock.store === store);
  }

  /** Takes a new lock into account. */
  add(use: LockUse): void {
    this.#uses = this.#uses.length === 0 ? [use] : [...this.#uses, use];
  }

  /** A lock was released; `answer` is its store's. */
  remove(use: LockUse, answer: boolean | Promise<boolean>): void {
    this.#uses = this.#uses.length === 1 ? NONE : this.#uses.filter((other) => other !== use);
    if (typeof answer !== 'boolean') this.#waitFor(answer);
    else if (this.#uses.length === 0 && this.#inside === 0 && this.#releasing === undefined) this.letOut(true);
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

  /** Whether the handler has done all that it will do to the answer; if so, all locks learn it. */
  get answerOver(): boolean {
    if (!this.#over && this.isAnswered()) this.tell('answered');
    return this.#over;
  }

  /** No handler will run that could answer. */
  nobodyAnswers(): void {
    this.tell('given up');
  }

  /** Releases what is over, then lets out what was held back. */
  settle(): void {
    const isOver = this.answerOver;
    const isHeld = this.#uses.length > 0;
    if (isHeld && !isOver) this.#watch();
    if (this.#releasing !== undefined) return; // comes back here
    if (isHeld && isOver)
      setImmediate(() => {
        // A promise that was about to settle may have done so.
        if (this.#releasing === undefined) this.letOut(true);
      });
    else this.letOut(!isHeld);
  }

  /** Settles when no store is still asked to release something; `undefined` when none is. */
  protected get releasing(): Promise<void> | undefined {
    return this.#releasing;
  }

  /** Whether a lock that it holds, or that is on its way, is in a store that has to be asked, so that its release takes time. */
  protected get asksStores(): boolean {
    return this.#releasing !== undefined || this.#uses.some(({ lock }) => !lock.stored.isSync);
  }

  protected tell(end: ExchangeEnd): void {
    if (end !== 'left') this.#over = true;
    for (const use of this.#uses) {
      if (end === 'left') use.clientLeft();
      else use.answerIsOver();
    }
  }

  #watch(): void {
    for (const use of this.#uses) use.superviseClient();
    if (this.#watching) return;
    this.#watching = true;
    this.watch();
  }

  #waitFor(answer: Promise<boolean>): void {
    const all = Promise.all([this.#releasing, soon(answer)]).then(() => {
      if (this.#releasing !== all) return;
      this.#releasing = undefined;
      if (this.#inside === 0) this.settle();
    });
    this.#releasing = all;
  }
}

/** Settles with the store's answer, or when that takes too long. */
function soon(answer: Promise<boolean>): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, RELEASE_MS).unref();
    void answer.finally(() => {
      clearTimeout(late);
      resolve();
    });
  });
}
