// What can be known about a response whose connection is gone. Node.js emits neither 'finish' nor anything else when a
// handler ends such a response, so what the handler does then has to be noticed by other means.

import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Calls `done`, perhaps repeatedly, when a handler whose client has gone ends the response, or cannot go on with it:
 * a stream that was piped into the response is detached, or is piped into it too late and will never flow.
 */
export function onEndWithoutClient(req: IncomingMessage, res: ServerResponse, done: () => void): void {
  afterCall(res, 'end', done);
  res.on('unpipe', done);
  res.on('pipe', done);
  // With HTTP/2 a write to a response whose client has gone destroys it: that is no sign that the handler is done.
  if (req.httpVersionMajor !== 1) return;
  afterCall(res, 'destroy', done);
  // What the error handlers of Express and Connect do when the head is out, also when there is nothing left to close.
  if (res.headersSent) afterCall(req.socket, 'destroy', done);
}

/**
 * Holds back the calls that make an answer whole, where no connection can hold back its bytes: with HTTP/2, while a response
 * waits for its turn on the connection, and for what only looks like a response. Only where the release of a lock takes
 * time: otherwise it comes first in any case, because nothing is sent before the running code has returned.
 */
export class CallGate {
  readonly #res: ServerResponse;
  readonly #isWholeBy: (name: Call, argument: unknown) => boolean;
  readonly #settle: () => void;
  #held: (() => unknown)[] = [];

  /**
   * @param isWholeBy - whether the answer will be whole by this call, and has to wait then.
   * @param settle - called after each call, and the code that has made it.
   */
  constructor(res: ServerResponse, isWholeBy: (name: Call, argument: unknown) => boolean, settle: () => void) {
    this.#res = res;
    this.#isWholeBy = isWholeBy;
    this.#settle = settle;
  }

  /** Whether the handler has given the whole answer, and it is kept here. */
  get holds(): boolean {
    return this.#held.length > 0;
  }

  watch(name: Call): void {
    const res = this.#res as unknown as Record<Call, (this: unknown, ...args: unknown[]) => unknown>;
    const original = res[name];
    res[name] = (...args) => {
      process.nextTick(this.#settle);
      const call = () => original.apply(res, args);
      if (!this.holds && !this.#isWholeBy(name, args[0])) return call();
      this.#held.push(call);
      return name === 'write' ? true : res;
    };
  }

  letOut(): void {
    const calls = this.#held;
    this.#held = [];
    for (const call of calls) call();
  }
}

type Call = 'end' | 'write' | 'writeHead' | 'flushHeaders';

/** Has `called` follow each call of that method of `target`, after the rest of the code that is running. */
function afterCall<Name extends string>(
  target: Record<Name, (...args: never[]) => unknown>,
  name: Name,
  called: () => void,
): void {
  const original = target[name];
  target[name] = function (this: unknown, ...args: never[]) {
    process.nextTick(called);
    return original.apply(this, args);
  };
}
