// The one place that loads the addon and knows its functions. Numbers that the hot functions return are results
// when 0 or more, and negated errnos when less.

import { constants } from 'node:os';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { SemlockError, systemError, type SemlockErrorCode } from './errors.js';

/** A native object of this thread's environment. */
export type Handle = number & { readonly __handle: unique symbol };

/** `semOpen`'s second argument. */
export const CREATE = { never: 0, ifMissing: 1, exclusive: 2 } as const;

export interface NativeAddon {
  readonly semValueMax: number;
  semOpen(name: string, create: (typeof CREATE)[keyof typeof CREATE], mode: number, value: number): Handle;
  semUnlink(name: string): void;
  semTryWait(handle: Handle): number;
  semPost(handle: Handle): number;
  semValue(handle: Handle): number;
  semClose(handle: Handle): void;

  threadOpen(name: string): Handle;
  threadTryWait(handle: Handle): number;
  threadPost(handle: Handle): number;
  threadClose(handle: Handle): void;
}

const { EAGAIN, EEXIST, ENOENT, EOVERFLOW } = constants.errno;
export { EAGAIN, EOVERFLOW };

export const native: NativeAddon = load();

function load(): NativeAddon {
  if (process.platform !== 'linux') {
    throw new SemlockError(
      'ERR_SEMLOCK_PLATFORM',
      `semlock needs Linux (glibc or musl, x64 or arm64); ${process.platform} ${process.arch} is not supported`,
    );
  }
  const require = createRequire(import.meta.url);
  const findAddon = require('node-gyp-build') as (root: string) => NativeAddon;
  const root = fileURLToPath(new URL('..', import.meta.url));
  try {
    return findAddon(root);
  } catch (cause) {
    throw new SemlockError(
      'ERR_SEMLOCK_ADDON',
      `semlock has no compiled addon for ${process.platform} ${process.arch}: with python3, make and g++ installed, ` +
        `run "npx node-gyp rebuild" in ${root}`,
      { cause },
    );
  }
}

/** What the addon throws. */
interface NativeFailure {
  readonly call: string;
  readonly errno: number;
  readonly kind?: string;
}

/** Calls into the addon and turns what it throws into a {@link SemlockError}. */
export function attempt<T>(lockName: string | undefined, call: () => T): T {
  try {
    return call();
  } catch (error) {
    const failure = error as Partial<NativeFailure>;
    if (failure.call === undefined || failure.errno === undefined) throw error;
    throw failureOf(failure.errno, failure.call, lockName, failure.kind);
  }
}

/** The {@link SemlockError} for a positive errno that `call` gave. */
export function failureOf(errno: number, call: string, lockName: string | undefined, kind?: string): SemlockError {
  const code: SemlockErrorCode =
    kind !== undefined
      ? (`ERR_SEMLOCK_${kind}` as SemlockErrorCode)
      : errno === ENOENT
        ? 'ERR_SEMLOCK_NOT_FOUND'
        : errno === EEXIST
          ? 'ERR_SEMLOCK_EXISTS'
          : errno === EOVERFLOW
            ? 'ERR_SEMLOCK_OVERFLOW'
            : 'ERR_SEMLOCK_SYSTEM';
  const cause = systemError(errno, call);
  const what = MEANING[code] ?? 'the system refused';
  const subject = lockName === undefined ? '' : ` "${lockName}"`;
  return new SemlockError(code, `${what}${subject} (${cause.message})`, { lockName, cause });
}

const MEANING: Partial<Record<SemlockErrorCode, string>> = {
  ERR_SEMLOCK_NOT_FOUND: 'there is no semaphore',
  ERR_SEMLOCK_EXISTS: 'there already is a semaphore',
  ERR_SEMLOCK_OVERFLOW: 'the value is at its maximum: one post too many for',
  ERR_SEMLOCK_NOT_A_SEMAPHORE: 'the file under this name is not a semaphore of this system:',
};
