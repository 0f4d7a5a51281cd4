// A request that waits for its lock. It does so as long as its time lasts and its client stays: a handler that nobody
// waits for any more must not take the lock from those who are still there.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { decline, type Held } from '../lock/held.js';
import { isTimeout } from '../lock/named-lock.js';
import type { StoreLock, StoreTry } from '../lock/store.js';
import { isOver } from './response-state.js';

/** `'busy'` when the time is over, `'left'` when the response is: then there is nobody to answer. */
export type WaitEnd = Held | 'busy' | 'left';

/**
 * Waits at most `timeoutMs`. What is granted has to be taken charge of in the same turn of the event loop. Rejects when
 * the lock cannot be had for another reason.
 */
export async function waitInTurn(
  req: IncomingMessage,
  res: ServerResponse,
  lock: StoreLock,
  how: StoreTry | undefined,
  timeoutMs: number,
): Promise<WaitEnd> {
  const left = new AbortController();
  const leave = () => left.abort();
  // A pipelined response that waits for an earlier one emits nothing when its client leaves. It keeps its place until
  // it is granted the lock, and gives it back at once.
  // Nor does Node.js notice that a client leaves while it does not read the connection, because what it has read of the
  // body is more than it may buffer.
  res.once('close', leave);
  try {
    const held = await lock.acquire!({ ...how, timeoutMs, signal: left.signal });
    if (!isOver(req, res)) return held;
    decline(held);
    return 'left';
  } catch (error) {
    if (left.signal.aborted || isOver(req, res)) return 'left';
    if (isTimeout(error)) return 'busy';
    throw error;
  } finally {
    res.off('close', leave);
  }
}
