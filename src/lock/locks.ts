// Who holds what: a look at the locks of all processes, for people and for tools that watch over them.

import { defaultNamespace, namespaceId } from '../names.js';
import { attempt, native } from '../native.js';
import { optionParser, text } from '../options.js';
import type { LockMode } from './held.js';

/** Options of {@link LockManager.query}. */
export interface QueryOptions {
  /** The namespace to look at. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
}

/** A permit of a lock that is held. A semaphore has one for each of its holders. */
export interface LockInfo {
  /** The lock's name. */
  readonly name: string;
  /** How it is held. */
  readonly mode: LockMode;
  /** The process that holds it, as that process sees its own id: in another pid namespace it has another. */
  readonly pid: number;
  /** When it was acquired, exact to some 10 ms. */
  readonly since: Date;
  /** The fencing token, as {@link Held.token}. */
  readonly token: number;
  /** `false` when the holder died with the lock in hand: it is free, and shown until somebody asks for it. */
  readonly alive: boolean;
}

/** Permits of a lock with `foreign` that are not there although no process of semlock has them. */
export interface LockGap {
  /** The lock's name. */
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
  readonly held: readonly LockInfo[];
  /** All locks with `foreign` that miss permits. */
  readonly gaps: readonly LockGap[];
}

/** What {@link locks} can do. */
export interface LockManager {
  /**
   * Looks at all locks of a namespace, in every process of this user that sees the same `/dev/shm`. The shape of the
   * result is that of the Web Locks API, https://w3c.github.io/web-locks/#dom-lockmanager-query, with more in it.
   *
   * Looking neither delays a lock nor changes one: no lock is taken, nothing is created and nothing is cleared away.
   * The answer is as of the moment of the call, each lock for itself.
   *
   * @throws {@link SemlockError} rejects with `ERR_SEMLOCK_OPTION`, or when the namespace cannot be read:
   * `ERR_SEMLOCK_UNTRUSTED`, `ERR_SEMLOCK_LAYOUT`, `ERR_SEMLOCK_TABLE_LOST` or `ERR_SEMLOCK_SYSTEM`.
   *
   * @example
   * ```ts
   * const { held } = await locks.query();
   * for (const { name, pid, since } of held) console.log(name, pid, since.toISOString());
   * ```
   */
  query(options?: QueryOptions): Promise<LockManagerSnapshot>;
}

const parseQueryOptions = optionParser<QueryOptions>()({ namespace: text() });

/** The locks of this user on this machine, as a whole. */
export const locks: LockManager = {
  query: (options) => new Promise((resolve) => resolve(snapshot(options))), // rejects with what is thrown
};

function snapshot(options: QueryOptions | undefined): LockManagerSnapshot {
  const { namespace = defaultNamespace() } = parseQueryOptions('locks.query()', options);
  const reports = attempt(undefined, () => native.lockQuery(namespaceId(namespace)));

  const held = reports.flatMap(({ name, holders }) =>
    holders.map(({ mode, pid, since, token, alive }) => ({ name, mode, pid, since: new Date(since), token, alive })),
  );
  const gaps = reports
    .filter(({ missing }) => missing > 0)
    .map(({ name, permits, missing }) => ({ name, permits, missing }));
  return { held: held.sort((a, b) => a.since.getTime() - b.since.getTime() || a.token - b.token), gaps };
}
