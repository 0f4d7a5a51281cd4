// Locks that are kept for a while when the work under them is done: a job that all machines of a fleet start at one time by
// clocks that differ must not find its lock free because another was quick.

import { integer } from './options.js';
import { setTimeout } from './timers.js';

/** What is kept. */
interface Kept {
  release(): boolean;
  [Symbol.asyncDispose](): PromiseLike<void>;
}

/** The longest time that a timer of Node.js can have, some 24 days. */
const MOST_MS = 2 ** 31 - 1;

/** The option `atLeastMs`. */
export const atLeastRule = integer(0, MOST_MS, 0);

const kept = new Map<Kept, Promise<void>>();

/**
 * Releases `hold` after that time, for which it keeps the process alive. A process that exits before releases it on its
 * way, so that the next holder is not told of a death.
 */
export function releaseAfter(hold: Kept, ms: number): void {
  if (kept.size === 0) process.on('exit', releaseAll);
  const released = new Promise<void>((resolve) => {
    setTimeout(() => {
      kept.delete(hold);
      if (kept.size === 0) process.off('exit', releaseAll);
      void hold[Symbol.asyncDispose]().then(resolve);
    }, ms);
  });
  kept.set(hold, released);
}

/** Settles when nothing is kept that is kept now. */
export async function keptReleased(): Promise<void> {
  await Promise.all(kept.values());
}

function releaseAll(): void {
  for (const hold of kept.keys()) hold.release();
}
