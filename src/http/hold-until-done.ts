// When a request is over, and its lock free again. The end of the connection is not the end of the request: a client
// that disconnects does not stop the handler, and the file is still being processed.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { holdBegins } from '../diagnostics.js';
import { HeldOnce, type Held, type LockMode } from '../lock/held.js';
import type { LockStore } from '../lock/store.js';
import { reportOrphaned } from './orphan.js';
import { lockOf, setLockOf } from './request-lock.js';
import { onEnd, onEndWithoutClient, wasGivenUp } from './response-state.js';

/** What tells one lock from all others. */
export interface LockIdentity {
  readonly store: LockStore;
  readonly namespace: string;
  readonly name: string;
}

/**
 * One lock of one request, held until everybody is done who has entered with it: those behind the gate that took it, and
 * behind each further one of that lock. When what is behind a gate has returned, say with {@link untilAnswered},
 * {@link during} or {@link leave} what ends its part. If the client disconnects before that, the lock is kept until the
 * handlers are done, but no longer than `orphanAfterMs`.
 */
export class RequestHold extends HeldOnce {
  readonly mode: LockMode;
  readonly token: number;
  readonly abandoned: boolean;
  readonly lock: LockIdentity;
  /** All that this request has taken; one list for all of them. */
  readonly ofRequest: RequestHold[];

  readonly #held: Held;
  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #orphanAfterMs: number;
  readonly #beginning = holdBegins();
  /** How many have entered and are not done, and how many of these are done when the response is over. */
  #entered = 0;
  #answering = 0;
  #answered = false;
  #watching = false;
  #released = false;
  #orphaning: NodeJS.Timeout | undefined;
  #stopWatchingSocket: (() => void) | undefined;

  /**
   * Takes charge of `held`. The response must not have been over in this turn of the event loop, and it must be said in
   * the same turn what ends the hold: no event comes before that.
   */
  constructor(req: IncomingMessage, res: ServerResponse, lock: LockIdentity, held: Held, orphanAfterMs: number) {
    super();
    this.mode = held.mode;
    this.token = held.token;
    this.abandoned = held.abandoned;
    this.lock = lock;
    const earlier = holdsOf(req);
    earlier?.push(this);
    this.ofRequest = earlier ?? [this];
    this.#held = held;
    this.#req = req;
    this.#res = res;
    this.#orphanAfterMs = orphanAfterMs;
    setLockOf(req, this);
  }

  get name(): string {
    return this.#held.name;
  }

  get signal(): AbortSignal {
    return this.#held.signal;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Another one comes behind a gate of this lock, who has to say what ends that. */
  enter(): this {
    this.#entered += 1;
    return this;
  }

  /** One of those who entered is done. */
  leave(): void {
    this.#entered -= 1;
    if (this.#entered === 0) this.release();
  }

  /** Stays until the response is over. A handler that has returned and ended it already is done with the lock. */
  untilAnswered(): void {
    if (this.#answered || this.#res.writableEnded) {
      this.leave();
      return;
    }
    this.#answering += 1;
    this.#watch();
  }

  /** One of those who stay until the response is over leaves before, if it is not. */
  leaveUnanswered(): void {
    if (this.#answering === 0) return;
    this.#answering -= 1;
    this.leave();
  }

  /** Stays until `work` has settled, whatever becomes of the response, and gives its result. */
  async during<T>(work: PromiseLike<T>): Promise<T> {
    this.#watch();
    try {
      return await work;
    } finally {
      this.leave();
    }
  }

  /** The handler has done all that it will do to the response. */
  responseDone(): void {
    this.#answered = true;
    while (this.#answering > 0) this.leaveUnanswered();
  }

  protected giveBack(): boolean {
    this.#released = true;
    clearTimeout(this.#orphaning);
    this.#stopWatchingSocket?.();
    return this.#held.release();
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    const [req, res] = [this.#req, this.#res];
    const closed = () => this.#responseClosed();
    // 'prefinish' comes as the handler ends the response, so a client that has its answer can count on the lock's being
    // free, and one that reads slowly does not keep it. After the rest of the handler's synchronous work, though.
    if (req.httpVersionMajor === 1) res.on('prefinish', () => process.nextTick(closed));
    else res.on('finish', closed);
    // Ahead of the streams that the handler has piped into the response: what they do at its close must not be missed.
    res.prependListener('close', closed);
    if (res.socket === null) this.#holdWhileQueued(req.socket);
  }

  /** On 'finish' too, because the response of HTTP/2 emits it even when its client has left. */
  #responseClosed(): void {
    if (this.#res.writableEnded || wasGivenUp(this.#req, this.#res)) this.responseDone();
    else this.#clientLeft();
  }

  #clientLeft(): void {
    if (this.released || this.#orphaning !== undefined) return;
    this.#orphaning = setTimeout(() => this.#orphan(), this.#orphanAfterMs).unref();
    if (this.#answering > 0) onEndWithoutClient(this.#req, this.#res, () => this.responseDone());
  }

  #orphan(): void {
    if (this.released) return;
    this.release();
    reportOrphaned(this, this.lock, this.#beginning, this.#orphanAfterMs, this.#req, this.#res);
  }

  /**
   * A pipelined response gets the connection when the earlier ones are out. Until then it emits nothing, not even when
   * the connection closes; and a lock is not held for a response that merely waits for its turn.
   */
  #holdWhileQueued(socket: Socket): void {
    const left = () => this.#clientLeft();
    onEnd(this.#res, () => this.responseDone());
    socket.on('close', left);
    this.#stopWatchingSocket = () => socket.off('close', left);
  }
}

/** What this request holds of a lock already. */
export function heldAlready(req: IncomingMessage, { name, namespace, store }: LockIdentity): RequestHold | undefined {
  return holdsOf(req)?.find(
    ({ lock, released }) => !released && lock.name === name && lock.namespace === namespace && lock.store === store,
  );
}

/** Releases what a request holds until its response is over: no handler will run that could end it. */
export function releaseUnanswered(req: IncomingMessage): void {
  holdsOf(req)?.forEach((hold) => hold.responseDone());
}

function holdsOf(req: IncomingMessage): RequestHold[] | undefined {
  const lock = lockOf(req);
  return lock instanceof RequestHold ? lock.ofRequest : undefined;
}
