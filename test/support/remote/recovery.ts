// How soon a lock is acquired after its holder was killed.

import { expect } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { LockStore } from '../../../src/store.js';
import { startHolder } from './holder.js';

/** `SEMLOCK_KILLS=100` for a measurement, on a machine that does nothing else. */
const KILLS = Number(process.env['SEMLOCK_KILLS'] ?? 5);
const MEASURED = KILLS >= 100;
/** In milliseconds; on a machine that may be busy. */
export const timeout = 40_000 + KILLS * 4_000;

/**
 * Kills processes, each with a store made `how` (see make-store.mjs) and a lock that this process waits for. Expects that a wait
 * ends within some tens of milliseconds; where nothing is measured, that it ends long before the lease.
 */
export async function expectQuickRecovery(
  how: { readonly kind: string } & Record<string, unknown>,
  store: LockStore,
): Promise<void> {
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
  times.sort((a, b) => a - b);
  const [median, p99] = [0.5, 0.99].map((share) => times[Math.ceil(times.length * share) - 1]!) as [number, number];
  if (MEASURED) console.log(`${how.kind}: ${KILLS} kills, p50 ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`);
  if (MEASURED) expect(p99).toBeLessThanOrEqual(100);
  else expect(median).toBeLessThan(1_000); // on a machine that may be busy
}
