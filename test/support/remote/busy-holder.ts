// Holders whose main threads do nothing else for three leases.

import { expect } from 'vitest';

import { Lock } from '../../../src/lock.js';
import type { LockStore } from '../../../src/store.js';
import { startHolder } from './holder.js';

/** Who had the lock when, by the clock that all processes of the machine share. */
export interface BusyHolder {
  /** The code with which the holder has lost it, if it has. */
  readonly lost?: string | undefined;
  /** How long the next one had it before the holder began to give it back, in milliseconds. */
  readonly togetherMs: number;
  readonly abandoned: boolean;
}

/**
 * Has processes hold a lock each with their main threads blocked, while this one waits for it. Their stores are made `ways`.
 *
 * @param renewing - how many threads renew by now: before each that can does so, a main thread must not be busy.
 */
export async function busyHolders(
  ways: readonly ({ readonly kind: string; readonly leaseMs: number } & Record<string, unknown>)[],
  store: LockStore,
  renewing: { count: () => Promise<number>; of: number },
): Promise<BusyHolder[]> {
  const namespace = 'busy holder';
  const nameOf = (how: object) => JSON.stringify(how);
  const holders = await Promise.all(ways.map((how) => startHolder(how, namespace, nameOf(how))));
  await expect.poll(renewing.count, { timeout: 30_000 }).toBe(renewing.of);
  return Promise.all(
    ways.map(async (how, at) => {
      const blocked = holders[at]!.block(3 * how.leaseMs);
      const next = await new Lock(nameOf(how), { namespace, store }).acquire();
      const gotAt = Number(process.hrtime.bigint()) / 1e6;
      const { lost, releasedAt } = await blocked;
      await next[Symbol.asyncDispose]();
      return { lost, togetherMs: Math.max(0, releasedAt - gotAt), abandoned: next.abandoned };
    }),
  );
}
