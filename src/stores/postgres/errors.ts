// What the server's errors mean, for the person who has to do something about them.

import { SemlockError } from '../../errors.js';
import { migration, SCHEMA_VERSION } from './schema.js';

/** The SQLSTATE of an error of either client, as in https://www.postgresql.org/docs/15/errcodes-appendix.html. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[0-9A-DF-Z][0-9A-Z]{4}$/.test(code) ? code : undefined; // not EPIPE
}

/** What the server tells one of several transactions that wait for each other in a circle. */
export const DEADLOCK = '40P01';

/** Transactions that collided: this one has changed nothing, and may succeed when it is repeated. */
export function isTransient(error: unknown): boolean {
  return ['40001', DEADLOCK].includes(sqlState(error) ?? '');
}

/** Something is missing, because there is no schema, or one of another version. */
const MISSING = ['3F000', '42883', '42P01', '42703', '42704'];

/** The error itself where there is nothing to add to it. */
export function explained(error: unknown, schema: string): unknown {
  const because = explanation(sqlState(error), schema);
  if (because === undefined || !(error instanceof Error)) return error;
  return new SemlockError('ERR_SEMLOCK_STORE', `the store "postgres" failed: ${because} (${error.message})`, {
    cause: error,
  });
}

function explanation(state: string | undefined, schema: string): string | undefined {
  if (state === undefined) return undefined;
  if (MISSING.includes(state)) {
    return `the schema "${schema}" is not there, or not of version ${SCHEMA_VERSION}: call migrate() of the store, or run semlock migrate`;
  }
  switch (state) {
    case '25006':
      return 'the server takes no writes: it is a standby, or set to be read-only';
    case DEADLOCK:
      return 'transactions waited for each other, each for what another has; roll this one back, and take locks in the same order everywhere';
    case '42501':
      return `this role may not use the schema "${schema}": grant the role USAGE, and SELECT, INSERT, UPDATE and DELETE on its tables`;
    case '53100':
      return 'the disk of the server is full';
    case '57014':
      return 'the server cancelled the statement, as after its statement_timeout';
    case '55P03':
      return 'the lock_timeout of this connection was over';
    case '25P03':
    case '57P05':
      return 'the server ended the connection, because it was idle';
    default:
      return undefined;
  }
}

/** For a role that may not make the schema: the SQL that another role has to run. */
export function mayNotMigrate(error: Error, schema: string, role: string): SemlockError {
  const message =
    `the role "${role}" may not make the schema "${schema}" (${error.message}). Run this as a role that may, for example ` +
    `with psql:\n\n${migration(schema, SCHEMA_VERSION, role)}--`; // what else is in the message is a comment then
  return new SemlockError('ERR_SEMLOCK_STORE', message, { cause: error });
}

export function wrongVersion(schema: string, found: number): SemlockError {
  const what = found < SCHEMA_VERSION ? 'call migrate() of the store, or run semlock migrate' : 'update semlock';
  const message = `the schema "${schema}" has version ${found}, and this semlock works with ${SCHEMA_VERSION}: ${what}`;
  return new SemlockError('ERR_SEMLOCK_STORE', message);
}
