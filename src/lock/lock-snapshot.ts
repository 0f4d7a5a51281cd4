// Who holds what, and who waits for it: a look at the locks of all processes, for people and for tools that watch over
// them.

import { attempt, native, type ClientReport } from '../native.js';
import type { LockMode } from './held.js';

/** What a lock that is held and a request that waits have in common. */
export interface LockInfo {
  /** The lock's name; of a lock with a `posixName` it is that. */
  readonly name: string;
  /** How it is held, or asked for. */
  readonly mode: LockMode;
  /** The thread that holds it or waits: the same in all that it holds and waits for, and no other's while it lives. */
  readonly clientId: string;
  /** The process of that thread, as that process sees its own id: in another pid namespace it has another. */
  readonly pid: number;
  /** When it was acquired, or when the wait for it began; exact to some 10 ms. */
  readonly since: Date;
}

/** A permit of a lock that is held. A semaphore has one for each of its holders. */
export interface HeldLockInfo extends LockInfo {
  /** The fencing token, as {@link Held.token}. */
  readonly token: number;
  /** `false` when the holder died with the lock in hand: it is free, and shown until somebody asks for it. */
  readonly alive: boolean;
}

/** Permits of a lock with a `posixName` that are not there although no process of semlock has them. */
export interface LockGap {
  /** Its `posixName`. */
  readonly name: string;
  /** How many permits it has in all. */
  readonly permits: number;
  /**
   * How many are missing: another program has them, or died with them. Where it died, posting the semaphore that
   * often gives them back.
   */
  readonly missing: number;
}

/** What {@link LockManager.query} finds. */
export interface LockManagerSnapshot {
  /** All permits that are held in the namespace, those that were acquired first before others. */
  readonly held: readonly HeldLockInfo[];
  /**
   * The requests that wait, those of one lock in the order in which they will be served. Of the waits that a thread has
   * begun with {@link Lock.acquire} or its like, the first one for each lock is shown: the others stand in line behind
   * it in that thread. Of requests of the Web Locks API all are shown, up to 64 of each thread for each lock.
   */
  readonly pending: readonly LockInfo[];
  /** The lock with a `posixName`, if that was looked at and misses permits. */
  readonly gaps: readonly LockGap[];
}

/** Looks at all locks of the namespace with that id. */
export function snapshot(namespaceId: string): LockManagerSnapshot {
  const reports = attempt(undefined, () => native.lockQuery(namespaceId));

  const held = reports.flatMap(({ name, holders }) =>
    holders.map(({ token, alive, ...holder }) => ({ ...lockInfo(name, holder), token, alive })),
  );
  const pending = reports.flatMap(({ name, waiters }) => waiters.map((waiter) => lockInfo(name, waiter)));
  const gaps = reports
    .filter(({ missing }) => missing > 0)
    .map(({ name, permits, missing }) => ({ name, permits, missing }));
  return { held: held.sort((a, b) => a.since.getTime() - b.since.getTime() || a.token - b.token), pending, gaps };
}

function lockInfo(name: string, { mode, client, pid, since }: ClientReport): LockInfo {
  return { name, mode, clientId: client, pid, since: new Date(since) };
}
