// The wait for a lock. A signal ends it as it would end any program, but in an orderly way: nothing is left of it, and
// those behind it in the queue are served at once.

import type { Hold } from '../hold.js';
import type { LockMode } from '../store.js';
import { isTimeout, type StoredLock } from '../stored-lock.js';

/** Signals that end a program which does not ask for them. */
const ENDING = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;

/** Gives the permit, `'busy'` when the time is over, or the signal that ended the wait. */
export async function waitFor(
  lock: StoredLock,
  mode: LockMode,
  timeoutMs: number | undefined,
  ignored: ReadonlySet<NodeJS.Signals>,
): Promise<Hold | 'busy' | NodeJS.Signals> {
  const ended = new AbortController();
  const end = (signal: NodeJS.Signals) => {
    if (!ignored.has(signal)) ended.abort(signal);
  };
  for (const signal of ENDING) process.on(signal, end);
  try {
    return await lock.acquire({ mode, timeoutMs, signal: ended.signal });
  } catch (error) {
    if (ended.signal.aborted) return ended.signal.reason as NodeJS.Signals;
    if (isTimeout(error)) return 'busy';
    throw error;
  } finally {
    for (const signal of ENDING) process.off(signal, end);
  }
}
