// How soon a lock is had after the process that holds it was killed.

import { expect } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { LockStore } from '../../../src/store.js';
import { startHolder } from './holder.js';

const KILLS = 5;

/**
 * The median of some kills, in milliseconds: each of a process with a store made `how` (see make-store.mjs), whose lock this
 * process waits for.
 */
export async function recoveryMs(how: object, store: LockStore): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < KILLS; round += 1) {
    const [namespace, name] = ['recovery', `killed ${round}`];
    const holder = await startHolder(how, namespace, name);
    const waiting = new Lock(name, { namespace, store }).acquire();
    await expect.poll(async () => (await store.query!({ namespace })).pending.length).toBe(1);
    const killed = performance.now();
    await holder.kill();
    const hold = await waiting;
    times.push(performance.now() - killed);
    expect(hold.abandoned).toBe(true);
    await hold[Symbol.asyncDispose]();
  }
  return times.sort((a, b) => a - b)[KILLS >> 1]!;
}
