// What is said when a lock is taken from a handler that did not end after its client had gone. Its work may still be
// going on, so this must not pass in silence.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { channels, lockMessage, since, type LockMessage, type LockSubject } from '../diagnostics.js';
import type { Held } from '../lock/held.js';

/** What subscribers of the diagnostics channel `semlock:orphaned` are given. */
export interface OrphanedMessage extends LockMessage {
  /** How long it was kept after the client had disconnected, in milliseconds. */
  readonly orphanAfterMs: number;
  /** The request of the client that left. */
  readonly req: IncomingMessage;
  /** Its response, which the handler has not ended. */
  readonly res: ServerResponse;
}

/**
 * Warns, and tells the subscribers, that `held` was released before its handler was done. It was taken at `beginning`.
 */
export function reportOrphaned(
  held: Held,
  lock: LockSubject,
  beginning: number | undefined,
  orphanAfterMs: number,
  req: IncomingMessage,
  res: ServerResponse,
): void {
  process.emitWarning(
    `The lock "${held.name}" was released ${orphanAfterMs} ms after the client had disconnected, because the handler ` +
      `of ${req.method ?? ''} ${req.url ?? ''} had not ended by then. If it still works, call req.lock.release() when ` +
      'it is done, and give it enough time with the option orphanAfterMs.',
    { type: 'SemlockWarning', code: 'SEMLOCK_ORPHANED' },
  );
  if (!channels.orphaned.hasSubscribers) return;
  const message = lockMessage(lock, held.mode, held.token, since(beginning));
  channels.orphaned.publish({ ...message, orphanAfterMs, req, res } satisfies OrphanedMessage);
}
