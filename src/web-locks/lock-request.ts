// The arguments of `LockManager.request()`, converted as Web IDL says and checked as the Web Locks API says: in that
// order, each with that error. https://webidl.spec.whatwg.org/#js-to-dictionary,
// https://w3c.github.io/web-locks/#api-lock-manager-request

import { describe } from '../errors.js';
import type { Hold } from '../hold.js';
import { integer, optionError, type OptionRule } from '../options.js';
import { MAX_PERMITS } from '../semaphore.js';
import type { LockMode } from '../store.js';
import { MAX_TIMER_MS } from '../stored-lock.js';

/**
 * Options of {@link LockManager.request}. `permits` and `timeoutMs` are not part of the Web Locks API; nor is any
 * other key, and as there it is ignored.
 */
export interface LockRequestOptions {
  /** `'shared'`: together with other readers, but with no exclusive holder. Default `'exclusive'`. */
  mode?: LockMode;
  /** Do not wait: when the lock is not free, the callback gets `null`. Default `false`. */
  ifAvailable?: boolean;
  /**
   * Take the lock from its holder, ahead of all waiters. The holder is told, but goes on working: its request rejects with an
   * `AbortError` and the `signal` of its lock aborts. For locks whose holder hangs. Default `false`.
   */
  steal?: boolean;
  /** Ends the wait when it aborts; without effect once the lock is granted. */
  signal?: AbortSignal;
  /** How many can hold the lock at once, 1 to 1 024. All users of a name must give the same number. Default 1. */
  permits?: number;
  /** How long to wait at most, in milliseconds. Default: for as long as it takes. */
  timeoutMs?: number;
}

/** A request with all its options, converted. */
export interface LockRequest {
  readonly name: string;
  readonly callback: (lock: Hold | null) => unknown;
  readonly mode: LockMode;
  readonly ifAvailable: boolean;
  readonly steal: boolean;
  readonly signal: AbortSignal | undefined;
  readonly permits: number;
  readonly timeoutMs: number | undefined;
}

const OWNER = 'locks.request()';
const permitsRule = integer(1, MAX_PERMITS, 1);
const timeoutRule = integer(0, MAX_TIMER_MS);

/**
 * Converts the arguments from left to right: `name, callback` or `name, options, callback`.
 *
 * @throws TypeError where Web IDL does, and {@link SemlockError} `ERR_SEMLOCK_OPTION` for options of our own.
 */
export function convertRequest(name: unknown, second: unknown, rest: readonly unknown[]): LockRequest {
  if (second === undefined && rest.length === 0) throw new TypeError(`${OWNER} needs a name and a callback`);
  const [options, callback] = rest.length === 0 ? [undefined, second] : [second, rest[0]];
  return { name: toDomString(name), ...convertOptions(options), callback: toCallback(callback) };
}

/** `name` as a DOMString: its UTF-16 code units as they are. */
function toDomString(value: unknown): string {
  return ''.concat(value as string); // not String(), which accepts a symbol
}

/** The members are read once, in lexicographical order, and each is converted before the next one is read. */
function convertOptions(options: unknown): Omit<LockRequest, 'name' | 'callback'> {
  if (options !== undefined && options !== null && typeof options !== 'object' && typeof options !== 'function') {
    throw new TypeError(`${OWNER}: the options must be an object, but ${describe(options)} was given`);
  }
  const given = (options ?? {}) as Record<keyof LockRequestOptions, unknown>;
  const ifAvailable = Boolean(given.ifAvailable);
  const mode = toMode(given.mode);
  const permits = toNumber('permits', given.permits, permitsRule);
  const signal = toSignal(given.signal);
  const steal = Boolean(given.steal);
  const timeoutMs = toNumber('timeoutMs', given.timeoutMs, timeoutRule);
  return { ifAvailable, mode, permits, signal, steal, timeoutMs };
}

function toMode(value: unknown): LockMode {
  if (value === undefined) return 'exclusive';
  const mode = toDomString(value);
  if (mode === 'exclusive' || mode === 'shared') return mode;
  throw new TypeError(`${OWNER}: ${describe(mode)} is no lock mode; accepted are 'exclusive' and 'shared'`);
}

function toSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined || isAbortSignal(value)) return value;
  throw new TypeError(`${OWNER}: the signal must be an AbortSignal, but ${describe(value)} was given`);
}

/** What only looks like an AbortSignal does not count; the getter knows the real ones. */
function isAbortSignal(value: unknown): value is AbortSignal {
  try {
    Reflect.get(AbortSignal.prototype, 'aborted', value);
    return typeof value === 'object' && value !== AbortSignal.prototype;
  } catch {
    return false;
  }
}

function toNumber<T>(key: string, value: unknown, { test, fallback, accepts }: OptionRule<T>): T {
  if (value === undefined) return fallback;
  if (!test(value)) throw optionError(OWNER, key, value, accepts);
  return value as T;
}

function toCallback(value: unknown): LockRequest['callback'] {
  if (typeof value === 'function') return value as LockRequest['callback'];
  throw new TypeError(`${OWNER}: the callback must be a function, but ${describe(value)} was given`);
}

/**
 * Refuses names that are reserved and options that contradict each other.
 *
 * @throws DOMException `NotSupportedError`, or the reason of a signal that has aborted.
 */
export function checkRequest({ name, mode, ifAvailable, steal, signal, timeoutMs }: LockRequest): void {
  if (name.startsWith('-')) throw notSupported("names that start with '-' are reserved");
  if (steal && ifAvailable) throw notSupported("'steal' and 'ifAvailable' exclude each other");
  if (steal && mode !== 'exclusive') throw notSupported("'steal' is for exclusive locks");
  if (signal !== undefined && (steal || ifAvailable)) {
    throw notSupported("'signal' is for requests that wait, so neither with 'steal' nor with 'ifAvailable'");
  }
  if (timeoutMs !== undefined && (steal || ifAvailable)) {
    throw notSupported("'timeoutMs' is for requests that wait, so neither with 'steal' nor with 'ifAvailable'");
  }
  signal?.throwIfAborted();
}

function notSupported(what: string): DOMException {
  return new DOMException(`${OWNER}: ${what}`, 'NotSupportedError');
}
