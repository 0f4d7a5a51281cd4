// Who owns a lock, if not the user of this process. The owner is a part of the lock's identity, as the namespace is.

import { optionError, type OptionRule } from './options.js';

/** A user or a group of this system: its name, or its number. */
export type Account = string | number;

/** Who owns a lock: at most one of the two, or this user. */
export interface LockOwners {
  /** Another user. */
  readonly user?: Account | undefined;
  /** A group: all of its members together. */
  readonly group?: Account | undefined;
}

/** The options that say who owns a lock. */
export interface OwnersOptions {
  /**
   * For a process of root: the lock is that of this user, by name or number, as if a process of that user had it. Root then
   * trusts that user with the files of the lock. Default: the user of this process.
   */
  user?: Account;
  /**
   * The lock is that of all members of this group, by name or number, who trust each other: each of them can break its
   * locks. A process that is not in the group gets `ERR_SEMLOCK_GROUP`. Default: the lock is this user's alone.
   */
  group?: Account;
}

const MAX_ID = 2 ** 32 - 2;

function account(what: string): OptionRule<Account | undefined> {
  return {
    accepts: `the name or the number of a ${what}`,
    fallback: undefined,
    test: (value) =>
      typeof value === 'number'
        ? Number.isInteger(value) && value >= 0 && value <= MAX_ID
        : typeof value === 'string' && value !== '' && !value.includes('\0'),
  };
}

/** One rule for each of {@link OwnersOptions}. */
export const ownersRules = { user: account('user'), group: account('group') };

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION` when both are given. */
export function checkOwners(caller: string, { user, group }: LockOwners): void {
  if (user !== undefined && group !== undefined) {
    throw optionError(caller, 'user', user, 'absent with a group, whose locks are not those of one user');
  }
}

/** Tells the locks of one owner from those of others; empty for this user. */
export function ownersKey({ user, group }: LockOwners): string {
  return user !== undefined ? `user ${user}` : group !== undefined ? `group ${group}` : '';
}
