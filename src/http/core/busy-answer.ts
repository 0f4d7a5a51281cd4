// The answer to a request whose lock is held elsewhere. It is made once, in the factory: a server that is busy must not
// work hard to say so.

import Negotiator from 'negotiator';

/** What the options say of it. */
export interface BusyOptions {
  readonly status: number;
  readonly retryAfterS: number;
  readonly message: string;
}

/** An answer as any framework can send it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Makes the function that gives the answer "busy" for a request's `Accept`: plain text, or `application/problem+json`
 * (RFC 9457) for clients that prefer JSON.
 */
export function busyAnswers({ status, retryAfterS, message }: BusyOptions): (accept: string | undefined) => Answer {
  const text = answer('text/plain; charset=utf-8', message);
  // Not imported: a program that only has locks need not load all of HTTP.
  const { STATUS_CODES } = process.getBuiltinModule('node:http');
  // Without a type of its own, a problem's title is the phrase of its status (RFC 9457, section 4.2.1).
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Busy', status, detail: message };
  const json = answer('application/problem+json', JSON.stringify(problem));

  return (accept) => (accept !== undefined && prefersJson(accept) ? json : text);

  function answer(type: string, body: string): Answer {
    const headers = {
      'Retry-After': String(retryAfterS),
      'Cache-Control': 'no-store',
      'Content-Type': type,
      'Content-Length': String(Buffer.byteLength(body)),
    };
    return { status, headers, body };
  }
}

const MEDIA_TYPES = ['text/plain', 'application/problem+json', 'application/json'];

function prefersJson(accept: string): boolean {
  const preferred = new Negotiator({ headers: { accept } }).mediaType(MEDIA_TYPES);
  return preferred !== undefined && preferred !== 'text/plain';
}
