// What can be known about a response whose connection is gone. Node.js emits neither 'finish' nor anything else when a
// handler ends such a response, so what the handler does then has to be noticed by other means.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';

/** Whether a handler would have nobody to answer to: the response was ended, or its client has gone. */
export function isOver(req: IncomingMessage, res: ServerResponse): boolean {
  // A response that waits for an earlier one of its connection (pipelining) learns nothing of the socket's end.
  return res.writableEnded || res.destroyed || isDead(req.socket);
}

function isDead(socket: Socket | undefined): boolean {
  return socket?.destroyed === true;
}

/**
 * Whether a response that closed before it was ended was given up by this server, not left by its client.
 *
 * Everything here has to speak for it, because a lock that is released while a handler works protects nothing.
 */
export function wasGivenUp(req: IncomingMessage, res: ServerResponse): boolean {
  // In HTTP/2 the connection is shared, and says nothing about one response.
  if (req.httpVersionMajor !== 1) return false;
  // null until res.destroy() is called, by a handler or by a pipeline that failed: then its error, or undefined.
  if (res.errored !== null) return true;
  // The error handlers of Express and Connect cannot answer once the head is out, and close the connection instead.
  return res.headersSent && wasClosedHere(req.socket);
}

/**
 * Neither did the client close or break the connection, nor can it have been a timeout, for there is none, or the closing
 * of the whole server. Whether a timeout was over that there is cannot be known.
 */
function wasClosedHere(socket: Socket & { server?: Server }): boolean {
  return !socket.readableEnded && !socket.errored && !socket.timeout && socket.server?.listening === true;
}

/** Calls `done` when a handler ends a response that nobody will receive, after the rest of its synchronous work. */
export function onEnd(res: ServerResponse, done: () => void): void {
  onCall(res, 'end', done);
}

/**
 * Calls `done`, perhaps repeatedly, when a handler whose client has gone ends the response, or cannot go on with it:
 * a stream that was piped into the response is detached, or is piped into it too late and will never flow.
 */
export function onEndWithoutClient(req: IncomingMessage, res: ServerResponse, done: () => void): void {
  onEnd(res, done);
  res.on('unpipe', done);
  res.on('pipe', done);
  // What the error handlers of Express and Connect do when the head is out, also when there is nothing left to close.
  if (res.headersSent) onCall(req.socket, 'destroy', done);
}

function onCall<Name extends string>(
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
