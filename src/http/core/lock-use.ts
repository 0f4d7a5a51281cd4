// When a request is done with a lock. The end of the connection is not the end of the request: a client that disconnects
// does not stop the handler, and the file is still being processed.

import type { Hold, HoldKeeper, Held } from '../../hold.js';
import { Holds } from '../../holds.js';
import { channels, lockMessage, type LockMessage } from '../../observe/channels.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import type { Exchange } from './exchange.js';
import { superviseClient, type Limits, type Supervision } from './idle-clients.js';
import type { FormLock } from './locks.js';

/** How long a lock may be held in an exchange, as the options say. */
export interface UseLimits extends Limits {
  /** `undefined`: {@link ORPHAN_AFTER_MS}, but without limit for a promise. */
  readonly orphanAfterMs: number | undefined;
  readonly endsWithClient: boolean;
}

/** What subscribers of the diagnostics channel `semlock:orphaned` are given. */
export interface OrphanedMessage extends LockMessage {
  /** How long the lock was kept after the client had disconnected, in milliseconds. */
  readonly orphanAfterMs: number;
}

/**
 * The part of a request behind a guard: it has entered, and has to say with {@link untilAnswered}, {@link during} or
 * {@link leave} what ends that.
 */
export interface Use {
  readonly exchange: Exchange;
  /** What the handler is given. */
  readonly hold: Held;
  /** Another caller enters behind a guard of this lock; it has to say when it is done. */
  enter(): this;
  /** One of the callers that entered is done. */
  leave(): void;
  /** Stays until the answer is over, which it may be already. */
  untilAnswered(): void;
  /** One of the callers that stay until the answer is over leaves before that, if it is not over yet. */
  leaveUnanswered(): void;
  /** Stays until `work` has settled, whatever becomes of the answer, and gives its result. */
  during<T>(work: PromiseLike<T>): Promise<T>;
}

/** How long a handler keeps the lock after its client has left, if only the response can tell that the handler is done. */
const ORPHAN_AFTER_MS = 30_000;

/**
 * One lock of one exchange, held until all callers are done that have entered with it: behind the guard that took it, and
 * behind each further guard of that lock.
 */
export class LockUse implements Use, HoldKeeper {
  readonly exchange: Exchange;
  readonly lock: FormLock;
  readonly hold: Hold;
  readonly #limits: UseLimits;
  /** How many have entered and are not done, and how many of these are done when the answer is. */
  #entered = 1;
  #answering = 0;
  #orphaning: NodeJS.Timeout | undefined;
  #supervision: Supervision | undefined;

  /** Enters. The caller must say in the same turn of the event loop what ends that, before any event can come. */
  constructor(exchange: Exchange, lock: FormLock, hold: Hold, limits: UseLimits) {
    this.exchange = exchange;
    this.lock = lock;
    this.hold = hold;
    this.#limits = limits;
    hold.keeper = this;
    exchange.add(this);
  }

  enter(): this {
    this.#entered += 1;
    return this;
  }

  leave(): void {
    this.#entered -= 1;
    if (this.#entered === 0) this.hold.release();
  }

  untilAnswered(): void {
    if (this.exchange.answerOver) this.leave();
    else this.#answering += 1;
  }

  leaveUnanswered(): void {
    if (this.#answering === 0) return;
    this.#answering -= 1;
    this.leave();
  }

  during<T>(work: PromiseLike<T>): Promise<T> {
    return leaveAfter(this, work);
  }

  /** It was released, by any code. */
  holdEnded(answer: boolean | Promise<boolean>): void {
    if (this.#orphaning !== undefined) clearTimeout(this.#orphaning);
    this.#supervision?.end();
    this.exchange.remove(this, answer);
  }

  /** The handler has done all that it will do to the answer. */
  answerIsOver(): void {
    while (this.#answering > 0) this.leaveUnanswered();
  }

  /** The client has gone. The lock stays for the handler, for a while. */
  clientLeft(): void {
    if (this.#limits.endsWithClient) this.answerIsOver();
    if (this.hold.released || this.#orphaning !== undefined) return;
    const afterMs = this.#limits.orphanAfterMs ?? ORPHAN_AFTER_MS;
    this.#orphaning = setTimeout(() => this.#orphan(afterMs), afterMs).unref();
  }

  /** Disconnects the client when it does nothing for too long while this is held. */
  superviseClient(): void {
    this.#supervision ??= superviseClient(this.exchange, this.lock.name, this.#limits);
  }

  #orphan(afterMs: number): void {
    if (this.hold.released) return;
    // A promise tells when the work is over. Only the user can know that it will not.
    if (this.#limits.orphanAfterMs === undefined && this.#entered > this.#answering) {
      this.answerIsOver();
      return;
    }
    this.hold.release();
    this.#reportOrphaned(afterMs);
  }

  /** The handler's work may still be going on, so this must not pass in silence. */
  #reportOrphaned(orphanAfterMs: number): void {
    const { name, mode, token, heldMs } = this.hold;
    process.emitWarning(
      `The lock "${name}" was released ${orphanAfterMs} ms after the client had disconnected, because the handler ` +
        `of ${this.exchange.title()} had not ended by then. If it still works, have it call release() of the request's ` +
        'lock when it is done, and give it enough time with the option orphanAfterMs.',
      { type: 'SemlockWarning', code: 'SEMLOCK_ORPHANED' },
    );
    if (!channels.orphaned.hasSubscribers) return;
    const message = lockMessage(this.lock, mode, token, heldMs);
    channels.orphaned.publish({ ...message, orphanAfterMs, ...this.exchange.details() } satisfies OrphanedMessage);
  }
}

/** Several locks that one guard takes together. */
export class LockUses implements Use {
  readonly exchange: Exchange;
  readonly hold: Held;
  readonly #uses: readonly LockUse[];

  constructor(exchange: Exchange, uses: readonly LockUse[]) {
    this.exchange = exchange;
    this.hold = new Holds(uses.map(({ hold }) => hold));
    this.#uses = uses;
  }

  enter(): this {
    for (const use of this.#uses) use.enter();
    return this;
  }

  leave(): void {
    for (const use of this.#uses) use.leave();
  }

  untilAnswered(): void {
    for (const use of this.#uses) use.untilAnswered();
  }

  leaveUnanswered(): void {
    for (const use of this.#uses) use.leaveUnanswered();
  }

  during<T>(work: PromiseLike<T>): Promise<T> {
    return leaveAfter(this, work);
  }
}

async function leaveAfter<T>(use: Use, work: PromiseLike<T>): Promise<T> {
  try {
    return await work;
  } finally {
    use.leave();
  }
}
