// What is said when a lock is taken from a handler that did not end after its client had gone. Its work may still be
// going on, so this must not pass in silence.

import { channels, lockMessage, since, type LockMessage } from '../../observe/channels.js';
import type { RequestHold } from './request-hold.js';

/** What subscribers of the diagnostics channel `semlock:orphaned` are given. */
export interface OrphanedMessage extends LockMessage {
  /** How long the lock was kept after the client had disconnected, in milliseconds. */
  readonly orphanAfterMs: number;
}

/** Warns, and tells the subscribers, that `hold` was released before its handler was done. */
export function reportOrphaned(hold: RequestHold, beginning: number | undefined, orphanAfterMs: number): void {
  process.emitWarning(
    `The lock "${hold.name}" was released ${orphanAfterMs} ms after the client had disconnected, because the handler ` +
      `of ${hold.exchange.title()} had not ended by then. If it still works, call req.lock.release() when it is done, ` +
      'and give it enough time with the option orphanAfterMs.',
    { type: 'SemlockWarning', code: 'SEMLOCK_ORPHANED' },
  );
  if (!channels.orphaned.hasSubscribers) return;
  const message = lockMessage(hold.lock, hold.mode, hold.token, since(beginning));
  channels.orphaned.publish({ ...message, orphanAfterMs, ...hold.exchange.details() } satisfies OrphanedMessage);
}
