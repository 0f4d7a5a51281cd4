// Every failure that semlock reports is one class with a stable code, so that callers branch on `code` and never on
// the words of a message.

import { constants } from 'node:os';

/** What each code means. docs/errors.md says the same of it, and what to do; a test holds the two together. */
export const ERRORS = {
  ERR_SEMLOCK_OPTION: 'An option has a wrong value, is unknown, or contradicts another one',
  ERR_SEMLOCK_NAME: 'A name must be a string that is not empty',
  ERR_SEMLOCK_PLATFORM: 'Locks between processes of one machine need Linux',
  ERR_SEMLOCK_ADDON: 'The native addon is missing, or cannot be loaded',
  ERR_SEMLOCK_BUSY: '@Locked without waitMs found the lock held elsewhere',
  ERR_SEMLOCK_CAPACITY: 'The lock table is full, or /dev/shm is',
  ERR_SEMLOCK_CLOSED: 'A NamedSemaphore was used after close(), or a wait was under way when its store was closed',
  ERR_SEMLOCK_CORRUPT: 'The lock table is damaged',
  ERR_SEMLOCK_DEADLOCK: 'acquireSync() without timeoutMs would block forever',
  ERR_SEMLOCK_EXISTS: 'There already is a semaphore of that name for NamedSemaphore.create()',
  ERR_SEMLOCK_FORKED: 'Locks cannot be used in a forked child that has not called exec, nor while the process exits',
  ERR_SEMLOCK_GATE: 'For 5 s another process has been in the middle of joining or leaving the namespace',
  ERR_SEMLOCK_GROUP: 'The option group names a group that does not exist, or that this process is not in',
  ERR_SEMLOCK_LAYOUT:
    'This namespace is in use by another version of semlock whose lock table has another layout, or by processes with another libc (glibc, musl)',
  ERR_SEMLOCK_LOST: 'The lock was lost before the work under it had ended',
  ERR_SEMLOCK_MISMATCH: 'Another process uses this name with another number of permits',
  ERR_SEMLOCK_NAMESPACE: 'SEMLOCK_NAMESPACE has changed since the first lock was made',
  ERR_SEMLOCK_NOT_FOUND: 'There is no semaphore of that name for NamedSemaphore.open()',
  ERR_SEMLOCK_NOT_A_SEMAPHORE: 'The file of that name is not a semaphore of this system',
  ERR_SEMLOCK_NOT_OWNER: 'An RLock was released in another async context than the one that holds it',
  ERR_SEMLOCK_OVERFLOW: 'A semaphore was posted beyond its maximum',
  ERR_SEMLOCK_SLOT_LOST: 'A process is alive, but has closed the file that proves it',
  ERR_SEMLOCK_STORE: 'The store cannot do what you asked for, or its server failed',
  ERR_SEMLOCK_SYSTEM: 'The operating system refused a call',
  ERR_SEMLOCK_TABLE_LOST: 'The lock table was removed while processes use it',
  ERR_SEMLOCK_TIMEOUT: 'The time to wait (timeoutMs, or waitMs of @Locked) has passed',
  ERR_SEMLOCK_UNTRUSTED: 'A folder, table or semaphore in /dev/shm is not private to this user or root',
  ERR_SEMLOCK_UPGRADE: 'A request holds the lock shared and now asks for it exclusively',
  ERR_SEMLOCK_USER: 'Either the process has changed its user (setuid, seteuid) since it first used a lock',
} as const;

/** The stable codes of {@link SemlockError}. */
export type SemlockErrorCode = keyof typeof ERRORS;

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
