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

/** Has `called` follow each call of that method of `target`, after the rest of the code that is running. */
export function afterCall<Name extends string>(
  target: Record<Name, (...args: never[]) => unknown>,
  name: Name,
  called: () => void,
  note?: (argument: unknown) => void,
): void {
  const original = target[name];
  target[name] = function (this: unknown, ...args: never[]) {
    note?.(args[0]);
    process.nextTick(called);
    return original.apply(this, args);
  };
}
