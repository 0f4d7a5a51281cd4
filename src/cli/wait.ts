// The wait for a lock. A signal ends it as it would end any program, but in an orderly way: nothing is left of it, and
// those behind it in the queue are served at once. One that stops it (Ctrl-Z) gives its turn up too, and once it goes on, it
// waits at the end of the queue.

import type { Hold } from '../hold.js';
import type { LockMode } from '../store.js';
import { isTimeout, type StoredLock } from '../stored-lock.js';
import { now } from '../timers.js';

/** Signals that end a program which does not ask for them, and the one that stops it. */
const ENDING = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGTSTP'] as const;

/** Gives the permit, `'busy'` when the time is over, or the signal that ended the wait. */
export async function waitFor(
  lock: StoredLock,
  mode: LockMode,
  timeoutMs: number | undefined,
  ignored: ReadonlySet<NodeJS.Signals>,
): Promise<Hold | 'busy' | NodeJS.Signals> {
  const start = now();
  for (;;) {
    const leftMs = timeoutMs === undefined ? undefined : Math.max(0, Math.round(timeoutMs - (now() - start)));
    const ended = await waitOnce(lock, mode, leftMs, ignored);
    if (ended !== 'SIGTSTP') return ended;
    process.kill(process.pid, 'SIGTSTP'); // nobody listens to it now, so this returns when somebody says SIGCONT
  }
}

async function waitOnce(
  lock: StoredLock,
  mode: LockMode,
  timeoutMs: number | undefined,
  ignored: ReadonlySet<NodeJS.Signals>,
): Promise<Hold | 'busy' | NodeJS.Signals> {
  const ended = new AbortController();
  const end = (signal: NodeJS.Signals) => ended.abort(signal);
  const signals = ENDING.filter((signal) => !ignored.has(signal));
  for (const signal of signals) process.on(signal, end);
  try {
    const hold = await lock.acquire({ mode, timeoutMs, signal: ended.signal });
    if (!ended.signal.aborted) return hold;
    hold.decline(); // both came at once
    return ended.signal.reason as NodeJS.Signals;
  } catch (error) {
    if (ended.signal.aborted) return ended.signal.reason as NodeJS.Signals;
    if (isTimeout(error)) return 'busy';
    throw error;
  } finally {
    for (const signal of signals) process.off(signal, end);
  }
}
