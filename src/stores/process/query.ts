// Who holds what, and who waits for it: a look at the locks of all processes, for people and for tools that watch over
// them.

import { namespaceId, posixNamespaceId, type Owners } from '../../names.js';
import { addon, attempt, type ClientReport } from '../../native.js';
import type { LockInfo, LockManagerSnapshot, QueryTarget } from '../../store.js';
import { KINDS, numbered } from './owners.js';

/** Looks at all locks of a namespace, or at that of a semaphore. */
export function snapshot(where: QueryTarget): LockManagerSnapshot {
  const owners = numbered(where);
  const id = idOf(where, owners);
  const found = attempt(undefined, () => addon().lockQuery(id, KINDS[owners?.kind ?? 'own'], owners?.id ?? 0));
  // An array of this realm: in Jest, what the addon makes is of another, and not equal to any that a test has.
  const reports = Array.from(found);

  const held = reports.flatMap(({ name, holders }) =>
    holders.map(({ token, alive, ...holder }) => ({ ...lockInfo(name, holder), token, alive })),
  );
  const pending = reports.flatMap(({ name, waiters }) => waiters.map((waiter) => lockInfo(name, waiter)));
  const gaps = reports
    .filter(({ missing }) => missing > 0)
    .map(({ name, permits, missing }) => ({ name, permits, missing }));
  return { held: held.sort((a, b) => a.since.getTime() - b.since.getTime() || a.token - b.token), pending, gaps };
}

/** What the files of a namespace are called by. */
export function namespaceIdOf(where: QueryTarget): string {
  return idOf(where, numbered(where));
}

/** The number of a namespace's gate, the first of its bytes to lock, is a multiple of this; the bytes of its slots follow. */
export function gateStep(): number {
  return addon().gateStep;
}

function idOf(where: QueryTarget, owners: Owners | undefined): string {
  return 'namespace' in where ? namespaceId(where.namespace, owners) : posixNamespaceId(where.posixName, owners);
}

function lockInfo(name: string, { mode, client, pid, since }: ClientReport): LockInfo {
  return { name, mode, clientId: client, pid, since: new Date(since) };
}
