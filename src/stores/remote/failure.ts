// What becomes of the errors of clients and servers: one code, with the error itself as the cause.

import { describe, SemlockError } from '../../errors.js';

/** `ERR_SEMLOCK_STORE`, which ends the sentence "the store … did not …". An error of our own stays as it is. */
export function storeFailure(store: string, what: string, error: unknown, lockName?: string): SemlockError {
  if (error instanceof SemlockError) return error;
  const why = error instanceof Error ? error.message || error.name : describe(error);
  const details = { cause: error, ...(lockName === undefined ? {} : { lockName }) };
  return new SemlockError('ERR_SEMLOCK_STORE', `the store "${store}" did not ${what}: ${why}`, details);
}

export function closedStore(lockName?: string): SemlockError {
  return new SemlockError('ERR_SEMLOCK_CLOSED', 'the store was closed', lockName === undefined ? {} : { lockName });
}
