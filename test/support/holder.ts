// Another process that holds a lock, to be looked at, to be waited for, or to be killed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

import type { LockOptions } from '../../src/lock.js';
import type { SemaphoreOptions } from '../../src/semaphore.js';

const HOLDER = fileURLToPath(new URL('holder.mjs', import.meta.url));

export interface Holder {
  readonly pid: number;
  /** Releases, and ends properly. */
  release(): Promise<void>;
  /** Dies with the lock in hand. */
  die(): Promise<void>;
}

/**
 * Starts a process that holds the lock from here until it is told otherwise, or the test ends. One that takes it
 * `again and again` does so beside the permit that it holds.
 */
export async function startHolder(
  name: string,
  options: LockOptions | SemaphoreOptions,
  how: 'all the time' | 'again and again' = 'all the time',
): Promise<Holder> {
  const child = spawn(process.execPath, [HOLDER, name, JSON.stringify(options), how], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = once(child, 'close');
  const release = async () => {
    child.stdin.end();
    await gone;
  };
  onTestFinished(release);
  const [answer] = (await Promise.race([once(child.stdout, 'data'), gone])) as unknown[];
  if (String(answer).trim() !== 'held') throw new Error(`the holder of ${name} answered ${String(answer)}`);
  const die = async () => {
    child.kill('SIGKILL');
    await gone;
  };
  return { pid: child.pid!, release, die };
}
