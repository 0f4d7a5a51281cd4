// The answer to a request whose lock is held elsewhere. It is made once, in the factory: a server that is busy must not
// work hard to say so.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';

import Negotiator from 'negotiator';

export interface BusyAnswer {
  readonly status: number;
  readonly retryAfterS: number;
  readonly message: string;
}

/**
 * Makes the function that answers "busy": plain text, or `application/problem+json` (RFC 9457) for clients whose
 * `Accept` prefers JSON. A request body that nobody read needs nothing here: Node.js discards it once the response is
 * out, and the connection stays usable.
 */
export function busyResponder({ status, retryAfterS, message }: BusyAnswer) {
  const headers = { 'Retry-After': String(retryAfterS), 'Cache-Control': 'no-store' };
  const text = response('text/plain; charset=utf-8', message);
  // Without a type of its own, a problem's title is the phrase of its status (RFC 9457, section 4.2.1).
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Busy', status, detail: message };
  const json = response('application/problem+json', JSON.stringify(problem));

  return function answerBusy(req: IncomingMessage, res: ServerResponse): void {
    const { head, body } = prefersJson(req) ? json : text;
    res.writeHead(status, head);
    res.end(body); // A string goes out in one piece with the head. Node.js sends no body for HEAD.
  };

  function response(type: string, content: string) {
    return { head: { ...headers, 'Content-Type': type, 'Content-Length': Buffer.byteLength(content) }, body: content };
  }
}

const MEDIA_TYPES = ['text/plain', 'application/problem+json', 'application/json'];

function prefersJson(req: IncomingMessage): boolean {
  if (req.headers.accept === undefined) return false;
  const preferred = new Negotiator(req).mediaType(MEDIA_TYPES);
  return preferred !== undefined && preferred !== 'text/plain';
}
