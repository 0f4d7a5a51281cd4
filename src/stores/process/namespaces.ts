// All lock tables that this user has in the system: for people who look through them, and for what may be removed.

import { addon, attempt } from '../../native.js';
import type { LockOwners } from '../../owners.js';
import type { LockId } from '../../store.js';
import { KINDS, numbered } from './owners.js';

/** Something that has a lock table of its own. */
export interface Namespace {
  /** What its files are called. */
  readonly id: string;
  /** Its name, of which a very long one is cut; absent for {@link posixName}, and where it cannot be read. */
  readonly namespace?: string;
  /** Of a semaphore that has a table for itself. */
  readonly posixName?: string;
  /** How much memory it takes. */
  readonly bytes: number;
  /** When a process joined it last; `undefined` where that is not known. */
  readonly joined: Date | undefined;
  /** How many processes use it; 1 where somebody does and nobody can tell who. */
  readonly users: number;
  /** If no process uses it: how many locks owe their next holder the news that the previous one died. */
  readonly abandoned: number;
}

/** What the engine is told of a namespace for {@link namespaces}: no name of a semaphore has a NUL. */
export function label({ namespace, posixName }: LockId): string {
  return posixName === undefined ? namespace : `\0${posixName}`;
}

/** Every namespace of this user, or of the owners that are given, without a change of any. */
export function namespaces(whose: LockOwners = {}): Namespace[] {
  const owners = numbered(whose);
  const reports = attempt(undefined, () => addon().lockNamespaces(KINDS[owners?.kind ?? 'own'], owners?.id ?? 0));
  return reports.map(({ id, label: text, bytes, joined, users, news }) => ({
    id,
    ...(text.startsWith('\0') ? { posixName: text.slice(1) } : text === '' ? {} : { namespace: text }),
    bytes,
    joined: joined === 0 ? undefined : new Date(joined),
    users,
    abandoned: news,
  }));
}

/**
 * Removes the files of a namespace that no live process uses. It waits for nobody.
 *
 * @param evenNews - whether to remove one that owes news too; then nobody is told of that.
 */
export function clearAway(id: string, evenNews: boolean, whose: LockOwners = {}): 'cleared' | 'in use' | 'owes news' {
  const owners = numbered(whose);
  const answers = ['cleared', 'in use', 'owes news'] as const;
  const [kind, number] = [KINDS[owners?.kind ?? 'own'], owners?.id ?? 0] as const;
  return answers[attempt(undefined, () => addon().lockClear(id, evenNews, kind, number)) as 0 | 1 | 2];
}

/** Removes semaphores whose table somebody has removed, and that provably nobody uses; says how many there were. */
export function clearStrays(whose: LockOwners = {}): { removed: number; kept: number; bytes: number } {
  const owners = numbered(whose);
  return attempt(undefined, () => addon().lockClearStrays(KINDS[owners?.kind ?? 'own'], owners?.id ?? 0));
}
