// When a request is over, and its lock free again. The end of the connection is not the end of the request: a client
// that disconnects does not stop the handler, and the file is still being processed.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import { holdBegins } from '../diagnostics.js';
import type { Held } from '../lock/held.js';
import type { LockStore } from '../lock/store.js';
import { reportAbandoned } from './abandonment.js';
import type { LockableRequest } from './http-types.js';
import { onEnd, onEndWithoutClient, wasGivenUp } from './response-state.js';

/** What tells one lock from all others. */
export interface LockIdentity {
  readonly store: LockStore;
  readonly namespace: string;
  readonly name: string;
}

/** The last lock that a request took; the earlier ones follow from it. */
const INNERMOST = Symbol('semlock.innermost');
type HoldingRequest = LockableRequest & { [INNERMOST]?: RequestHold };

/**
 * One lock of one request. It is released when the response is over or, with {@link during}, when a promise settles.
 * If the client disconnects before that, it is kept until the handler is done, but no longer than `abandonAfterMs`.
 */
export class RequestHold {
  readonly held: Held;
  readonly lock: LockIdentity;
  readonly outer: RequestHold | undefined;

  readonly #req: IncomingMessage;
  readonly #res: ServerResponse;
  readonly #abandonAfterMs: number;
  readonly #beginning = holdBegins();
  /** Whether a promise says when the handler is done; otherwise the response does. */
  #promised = false;
  #abandonment: NodeJS.Timeout | undefined;
  #stopWatchingSocket: (() => void) | undefined;

  /** Takes charge of `held`; must be called in the same turn of the event loop in which the response was not over. */
  constructor(req: IncomingMessage, res: ServerResponse, lock: LockIdentity, held: Held, abandonAfterMs: number) {
    this.held = held;
    this.lock = lock;
    this.outer = (req as HoldingRequest)[INNERMOST];
    this.#req = req;
    this.#res = res;
    this.#abandonAfterMs = abandonAfterMs;
    (req as HoldingRequest)[INNERMOST] = this;
    (req as HoldingRequest).lock = held;

    const closed = () => this.#responseClosed();
    // 'prefinish' comes as the handler ends the response, so a client that has its answer can count on the lock's being
    // free, and one that reads slowly does not keep it. After the rest of the handler's synchronous work, though.
    if (req.httpVersionMajor === 1) res.on('prefinish', () => process.nextTick(closed));
    else res.on('finish', closed);
    res.on('close', closed);
    if (res.socket === null) this.#holdWhileQueued(req.socket);
  }

  /** Keeps the lock until `work` has settled, whatever becomes of the response, and gives its result. */
  async during<T>(work: PromiseLike<T>): Promise<T> {
    this.#promised = true;
    try {
      return await work;
    } finally {
      this.release();
    }
  }

  /** The handler has done all that it will do to the response. */
  responseDone(): void {
    if (!this.#promised) this.release();
  }

  /** Releases, once, and ends all watching. */
  release(): void {
    clearTimeout(this.#abandonment);
    this.#stopWatchingSocket?.();
    this.held.release();
  }

  /** On 'finish' too, because the response of HTTP/2 emits it even when its client has left. */
  #responseClosed(): void {
    if (this.#res.writableEnded || wasGivenUp(this.#req, this.#res)) this.responseDone();
    else this.#clientLeft();
  }

  #clientLeft(): void {
    if (this.held.released || this.#abandonment !== undefined) return;
    this.#abandonment = setTimeout(() => this.#abandon(), this.#abandonAfterMs).unref();
    if (!this.#promised) onEndWithoutClient(this.#req, this.#res, () => this.responseDone());
  }

  #abandon(): void {
    if (this.held.released) return;
    this.release();
    reportAbandoned(this.held, this.lock, this.#beginning, this.#abandonAfterMs, this.#req, this.#res);
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
export function heldAlready(req: IncomingMessage, lock: LockIdentity): Held | undefined {
  for (let hold = (req as HoldingRequest)[INNERMOST]; hold !== undefined; hold = hold.outer) {
    const { name, namespace, store } = hold.lock;
    const same = name === lock.name && namespace === lock.namespace && store === lock.store;
    if (same && !hold.held.released) return hold.held;
  }
  return undefined;
}

/** Releases what a request holds until its response is over: no handler will run that could end it. */
export function releaseUnanswered(req: IncomingMessage): void {
  for (let hold = (req as HoldingRequest)[INNERMOST]; hold !== undefined; hold = hold.outer) hold.responseDone();
}
