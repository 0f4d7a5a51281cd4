// Whose a lock is, where it is not the user's of this process. It is a part of the lock's identity, as its namespace is.

import { optionError, type OptionRule } from './options.js';

/** A user or a group of this system: its name, or its number. */
export type Account = string | number;

/** Whose a lock is. At most one of the two is given; with neither it is this user's. */
export interface LockOwners {
  /** Another user's. */
  readonly user?: Account | undefined;
  /** That of all members of a group together. */
  readonly group?: Account | undefined;
}

/** The options that say whose a lock is. */
export interface OwnersOptions {
  /**
   * For a process of root: the lock is that of this user, by name or number, as if a process of that user had it. Root
   * trusts that user then with the files of the lock. Default: the user of this process.
   */
  user?: Account;
  /**
   * The lock is that of all members of this group, by name or number, who trust each other: each of them can break its
   * locks. A process that is not in the group has `ERR_SEMLOCK_GROUP`. Default: the lock is this user's alone.
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

/** What tells the locks of some from those of others; empty for those of this user. */
export function ownersKey({ user, group }: LockOwners): string {
  return user !== undefined ? `user ${user}` : group !== undefined ? `group ${group}` : '';
}
