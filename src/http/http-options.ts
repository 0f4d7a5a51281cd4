// The options that the HTTP forms share, read and checked once, when a middleware is made.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { SemlockError } from '../errors.js';
import type { LockMode } from '../lock/held.js';
import { MAX_TIMER_MS } from '../lock/named-lock.js';
import { MAX_PERMITS } from '../lock/semaphore.js';
import { processStore, type LockStore } from '../lock/store.js';
import { callback, integer, optionError, optionParser, text, type OptionRule, type Parsed } from '../options.js';
import type { DefaultRequest, DefaultResponse, Next } from './http-types.js';

/**
 * The name of a lock: one for all requests, or a function that makes it from the request. What a wildcard of Express 5
 * matched, as in `/*path`, is an array there, and no name: join it.
 */
export type LockName<Req extends IncomingMessage = DefaultRequest> = string | ((req: Req) => string | Promise<string>);

/** How a lock is taken: alike for all requests, or as a function says of each. */
export type LockModeOption<Req extends IncomingMessage = DefaultRequest> = LockMode | ((req: Req) => LockMode);

/** What {@link HttpLockOptions.onBusy} is told. */
export interface BusyInfo {
  /** The name of the lock that is held elsewhere. */
  readonly name: string;
}

/** Options of `locked()`, and with a `name` of `fileLock()`. */
export interface HttpLockOptions<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
> {
  /** Keeps the locks of one app apart from those of others. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
  /** How many requests can hold the lock at once, in all processes together, 1 to 1024. Default 1. */
  permits?: number;
  /**
   * `'shared'` for requests that only read: they pass together, but not beside one that takes the lock exclusively,
   * nor ahead of one that waits to. Needs one permit. Default `'exclusive'`.
   */
  mode?: LockModeOption<Req>;
  /** How long to wait in turn for a lock that is held elsewhere, in milliseconds. Default 0: busy at once. */
  waitMs?: number;
  /** The status of the answer when the lock is held elsewhere, 400 to 599. Default 503. */
  status?: number;
  /** The `Retry-After` of that answer, in whole seconds. Default 1. */
  retryAfterS?: number;
  /** The body of that answer. Default `busy`. */
  message?: string;
  /** Answers instead, when the lock is held elsewhere; what it throws or rejects with goes to `next`. */
  onBusy?: (req: Req, res: Res, next: Next, info: BusyInfo) => unknown;
  /** Lets a request pass without the lock when it gives `true`. */
  skip?: (req: Req) => boolean | Promise<boolean>;
  /**
   * How long the lock is still kept for a handler whose client has disconnected, in milliseconds from then on. It is
   * released earlier when the handler is done. Default 30 000.
   */
  orphanAfterMs?: number;
  /** Where the locks come from. Default {@link processStore}: locks between processes. */
  store?: LockStore;
}

/** Options of `fileLock()`. */
export interface FileLockOptions<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
> extends HttpLockOptions<Req, Res> {
  /** The lock's name, or a function that makes it from the request. Default `default`. */
  name?: LockName<Req>;
}

/** What the code works on: of the requests of all frameworks it knows what node:http gives them. */
export type AnyLockName = LockName<IncomingMessage>;
export type AnyHttpLockOptions = HttpLockOptions<IncomingMessage, ServerResponse>;
export type AnyFileLockOptions = FileLockOptions<IncomingMessage, ServerResponse>;

const lockName: OptionRule<AnyLockName> = {
  accepts: 'a non-empty string, or a function that makes one from the request',
  fallback: 'default',
  test: (value) => typeof value === 'function' || (typeof value === 'string' && value !== ''),
};

const lockStore: OptionRule<LockStore> = {
  accepts: 'a store: an object with the method open()',
  fallback: processStore,
  test: (value) => typeof (value as Partial<LockStore> | null)?.open === 'function',
};

const MODES: readonly unknown[] = ['exclusive', 'shared'] satisfies LockMode[];

/** Whether a function for the option `mode` gave a mode. */
export function isMode(value: unknown): value is LockMode {
  return MODES.includes(value);
}

const lockMode: OptionRule<LockModeOption<IncomingMessage>> = {
  accepts: `'exclusive' or 'shared', or a function that gives one of them for a request`,
  fallback: 'exclusive',
  test: (value) => typeof value === 'function' || isMode(value),
};

const sharedRules = {
  namespace: text(),
  permits: integer(1, MAX_PERMITS, 1),
  mode: lockMode,
  waitMs: integer(0, MAX_TIMER_MS, 0),
  status: integer(400, 599, 503),
  retryAfterS: integer(0, MAX_TIMER_MS, 1),
  message: text('busy'),
  onBusy: callback<AnyHttpLockOptions['onBusy']>('a function', undefined),
  skip: callback<AnyHttpLockOptions['skip']>('a function', undefined),
  orphanAfterMs: integer(0, MAX_TIMER_MS, 30_000),
  store: lockStore,
};

const fileLockRules = { name: lockName, ...sharedRules };

/** The options of `locked()`, complete. */
export type HttpLockConfig = Parsed<typeof sharedRules>;
/** The options of `fileLock()`, complete. */
export type FileLockConfig = Parsed<typeof fileLockRules>;

const readHttpLockOptions = optionParser<AnyHttpLockOptions>()(sharedRules);
const readFileLockOptions = optionParser<AnyFileLockOptions>()(fileLockRules);

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`. */
export function parseHttpLockOptions(owner: string, options: AnyHttpLockOptions | undefined): HttpLockConfig {
  const config = readHttpLockOptions(owner, options);
  checkOneAnswer(owner, options);
  checkAbilities(owner, config);
  return config;
}

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION`. */
export function parseFileLockOptions(owner: string, options: AnyFileLockOptions | undefined): FileLockConfig {
  const config = readFileLockOptions(owner, options);
  checkOneAnswer(owner, options);
  checkAbilities(owner, config);
  return config;
}

/** An `onBusy` answers alone: nothing would come of the options of the built-in answer beside it. */
function checkOneAnswer(owner: string, options: AnyHttpLockOptions | undefined): void {
  if (options?.onBusy === undefined) return;
  for (const key of ['status', 'retryAfterS', 'message'] as const) {
    if (options[key] === undefined) continue;
    const message = `${owner}: option "${key}" has no effect beside "onBusy", which gives the whole answer: leave one out`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
}

/** What the store cannot do, or several permits contradict, is said now and not to the first client. */
function checkAbilities(owner: string, { store, permits, mode, waitMs }: HttpLockConfig): void {
  if (waitMs > 0 && store.canWait !== true) {
    throw optionError(owner, 'waitMs', waitMs, '0 or absent with a store that cannot wait');
  }
  if (mode !== 'exclusive' && store.canShare !== true) {
    throw optionError(owner, 'mode', mode, `'exclusive' or absent with a store that cannot share`);
  }
  if (mode !== 'exclusive' && permits > 1) {
    throw optionError(owner, 'mode', mode, `'exclusive' or absent with ${permits} permits`);
  }
}
