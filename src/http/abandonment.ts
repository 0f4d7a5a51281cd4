// What is said when a lock is taken from a handler that did not end after its client had gone. Its work may still be
// going on, so this must not pass in silence.

import { channel } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Held } from '../lock/held.js';

/** What subscribers of the diagnostics channel `semlock:abandoned` are given. */
export interface AbandonedMessage {
  /** The lock's name. */
  readonly name: string;
  /** How long it was kept after the client had disconnected, in milliseconds. */
  readonly abandonAfterMs: number;
  /** The request of the client that left. */
  readonly req: IncomingMessage;
  /** Its response, which the handler has not ended. */
  readonly res: ServerResponse;
}

const abandoned = channel('semlock:abandoned');

/** Warns, and tells the subscribers, that `held` was released before its handler was done. */
export function reportAbandoned(held: Held, abandonAfterMs: number, req: IncomingMessage, res: ServerResponse): void {
  process.emitWarning(
    `The lock "${held.name}" was released ${abandonAfterMs} ms after the client had disconnected, because the handler ` +
      `of ${req.method ?? ''} ${req.url ?? ''} had not ended by then. If it still works, call req.lock.release() when ` +
      'it is done, and give it enough time with the option abandonAfterMs.',
    { type: 'SemlockWarning', code: 'SEMLOCK_ABANDONED' },
  );
  if (abandoned.hasSubscribers) {
    abandoned.publish({ name: held.name, abandonAfterMs, req, res } satisfies AbandonedMessage);
  }
}
