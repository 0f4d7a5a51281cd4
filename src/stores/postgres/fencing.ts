// A row that refuses writers who come late. A holder that was stopped for longer than its session lasts goes on with what it
// was doing, and another has the lock by then. The larger token is always that of the later holder; so the row keeps the
// largest that has written, and a write with a smaller one changes nothing.

import { SemlockError, describe } from '../../errors.js';
import { quoted } from './schema.js';

/** What {@link guard} is made with. */
export interface GuardOptions {
  /** The column that keeps the token: `bigint NOT NULL DEFAULT 0`. Default: `'fence'`. */
  readonly column?: string;
}

/**
 * The condition and the assignment that make an `UPDATE` refuse a holder that has lost its lock. The statement changes no row
 * then, which is how the caller knows.
 *
 * @param hold - the hold of the lock that protects the row, or its token.
 * @throws {@link SemlockError} `ERR_SEMLOCK_OPTION` if it is no token.
 *
 * @example
 * ```ts
 * import { Pool } from 'pg';
 * import { Lock } from 'semlock';
 * import { guard, postgresStore } from 'semlock/postgres';
 *
 * const pool = new Pool();
 * await new Lock('account 1', { store: postgresStore({ pool }) }).run(async (hold) => {
 *   const { set, where } = guard(hold);
 *   const { rowCount } = await pool.query(`UPDATE accounts SET balance = 7, ${set} WHERE id = 1 AND ${where}`);
 *   if (rowCount === 0) throw new Error('the lock was lost before the row was written');
 * });
 * ```
 */
export function guard(
  hold: number | { readonly token: number },
  options: GuardOptions = {},
): { readonly set: string; readonly where: string } {
  const token = typeof hold === 'number' ? hold : hold.token;
  const column = quoted(options.column ?? 'fence');
  if (!Number.isSafeInteger(token) || token < 0) {
    const message = `guard(): the token of a hold is needed, but ${describe(token)} was given`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
  return { set: `${column} = ${token}`, where: `${column} <= ${token}` };
}
