// Whose locks are meant, as the engine counts: by the numbers of users and groups.

import { SemlockError } from '../../errors.js';
import type { Owners } from '../../names.js';
import { addon } from '../../native.js';
import type { Account, LockOwners } from '../../owners.js';

/**
 * Asks the system for names. A user or a group that has only a number, as in many containers, is meant by that.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_USER` or `ERR_SEMLOCK_GROUP` where there is none.
 */
export function numbered({ user, group }: LockOwners): Owners | undefined {
  if (user !== undefined) return { kind: 'user', id: idOf('user', user) };
  if (group !== undefined) return { kind: 'group', id: idOf('group', group) };
  return undefined;
}

/** The numbers of names that were asked for: to ask takes a look into files, or a server. */
const known = new Map<string, number>();

function idOf(kind: 'user' | 'group', account: Account): number {
  if (typeof account === 'number') return account;
  const key = `${kind} ${account}`;
  let id = known.get(key);
  if (id !== undefined) return id;
  id = addon().ownersId(KINDS[kind], account);
  if (id < 0 && /^\d{1,9}$/.test(account)) id = Number(account);
  if (id < 0) {
    const code = kind === 'user' ? 'ERR_SEMLOCK_USER' : 'ERR_SEMLOCK_GROUP';
    throw new SemlockError(code, `there is no ${kind} ${JSON.stringify(account)} on this system`);
  }
  known.set(key, id);
  return id;
}

/** As the addon numbers them. */
export const KINDS = { own: 0, user: 1, group: 2 } as const;
