// Every failure that semlock reports is one class with a stable code, so that callers branch on `code` and never on
// the words of a message.

import { constants } from 'node:os';

/** The stable codes of {@link SemlockError}. docs/errors.md says what each one means and what to do. */
export type SemlockErrorCode =
  | 'ERR_SEMLOCK_OPTION'
  | 'ERR_SEMLOCK_NAME'
  | 'ERR_SEMLOCK_PLATFORM'
  | 'ERR_SEMLOCK_ADDON'
  | 'ERR_SEMLOCK_BUSY'
  | 'ERR_SEMLOCK_CAPACITY'
  | 'ERR_SEMLOCK_CLOSED'
  | 'ERR_SEMLOCK_CORRUPT'
  | 'ERR_SEMLOCK_DEADLOCK'
  | 'ERR_SEMLOCK_EXISTS'
  | 'ERR_SEMLOCK_FORKED'
  | 'ERR_SEMLOCK_GATE'
  | 'ERR_SEMLOCK_GROUP'
  | 'ERR_SEMLOCK_LAYOUT'
  | 'ERR_SEMLOCK_LOST'
  | 'ERR_SEMLOCK_MISMATCH'
  | 'ERR_SEMLOCK_NAMESPACE'
  | 'ERR_SEMLOCK_NOT_FOUND'
  | 'ERR_SEMLOCK_NOT_A_SEMAPHORE'
  | 'ERR_SEMLOCK_NOT_OWNER'
  | 'ERR_SEMLOCK_OVERFLOW'
  | 'ERR_SEMLOCK_SLOT_LOST'
  | 'ERR_SEMLOCK_STORE'
  | 'ERR_SEMLOCK_SYSTEM'
  | 'ERR_SEMLOCK_TABLE_LOST'
  | 'ERR_SEMLOCK_TIMEOUT'
  | 'ERR_SEMLOCK_UNTRUSTED'
  | 'ERR_SEMLOCK_UPGRADE'
  | 'ERR_SEMLOCK_USER';

/** An error of the operating system, as Node.js reports its own. */
export interface SystemError extends Error {
  /** The name of the errno, for example `'ENOENT'`. */
  readonly code: string;
  /** The errno, negated as everywhere in Node.js. */
  readonly errno: number;
  /** The system call that failed. */
  readonly syscall: string;
}

/**
 * The one error class of semlock: branch on its `code`, never on the words of its message.
 */
export class SemlockError extends Error {
  /** Always `'SemlockError'`. */
  override readonly name = 'SemlockError';
  /** What happened; stable between versions. */
  readonly code: SemlockErrorCode;
  /** The name of the lock or semaphore concerned, if there is one. */
  readonly lockName: string | undefined;
  /** What the operating system refused, where it did. */
  declare readonly cause: SystemError | undefined;

  constructor(code: SemlockErrorCode, message: string, details: { lockName?: string; cause?: unknown } = {}) {
    super(`${message}; see ${addressOf(code)}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.lockName = details.lockName;
  }
}

/** Where docs/errors.md says what a code means and what to do. */
function addressOf(code: SemlockErrorCode): string {
  return `https://github.com/semlock/semlock/blob/main/docs/errors.md#${code.toLowerCase()}`;
}

/** The operating system's error for a positive errno of `syscall`. */
export function systemError(errno: number, syscall: string): SystemError {
  // Not by util.getSystemErrorName(), which knows neither EDEADLK nor ENOLCK (Node.js 20 to 26).
  const [code] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [`errno ${errno}`];
  return Object.assign(new Error(`${syscall} failed with ${code}`), { code, errno: -errno, syscall });
}

/** What was given, short enough for a message and never the whole of a large object. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`;
  if (typeof value === 'symbol') return value.toString();
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return 'an array';
  const maker: unknown = (value as { constructor?: unknown }).constructor;
  return typeof maker === 'function' && maker !== Object && maker.name !== ''
    ? `an instance of ${maker.name}`
    : 'an object';
}
