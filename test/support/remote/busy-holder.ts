// A holder whose main thread does nothing else for three leases.

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

/** Has a process hold a lock with its main thread blocked, while this one waits for it. Its store is made `how`. */
export async function busyHolder(
  how: { readonly kind: string; readonly leaseMs: number } & Record<string, unknown>,
  store: LockStore,
): Promise<BusyHolder> {
  const [namespace, name] = ['busy holder', JSON.stringify(how)];
  const holder = await startHolder(how, namespace, name);
  const blocked = holder.block(3 * how.leaseMs);
  const next = await new Lock(name, { namespace, store }).acquire();
  const gotAt = Number(process.hrtime.bigint()) / 1e6;
  const { lost, releasedAt } = await blocked;
  await next[Symbol.asyncDispose]();
  return { lost, togetherMs: Math.max(0, releasedAt - gotAt), abandoned: next.abandoned };
}
