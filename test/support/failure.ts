// Errors as tests compare them.

/** What `call` throws; a failed test when it throws nothing. */
export function failure(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error, but nothing was thrown');
}
