// The options that are the same in every framework, read and checked once, when a middleware is made.

import { SemlockError } from '../../errors.js';
import { callback, flag, integer, optionError, text, type OptionRule, type Parsed } from '../../options.js';
import { MAX_PERMITS, MAX_TIMER_MS, storeOption, type LockMode, type LockStore } from './locks.js';

/** How a lock is taken: alike for all requests, or as a function says of each. */
export type ModeOption<Request> = LockMode | ((req: Request) => LockMode);

/** The options of all forms; `Request` is what a framework gives to callbacks. */
export interface GuardOptions<Request> {
  /** Keeps the locks of one app apart from those of others. Default: `SEMLOCK_NAMESPACE`, or the app's folder. */
  namespace?: string;
  /** How many requests can hold the lock at once, in all processes together, 1 to 1024. Default 1. */
  permits?: number;
  /**
   * `'shared'` for requests that only read: they pass together, but not beside one that takes the lock exclusively,
   * nor ahead of one that waits to. Needs one permit. Default `'exclusive'`.
   */
  mode?: ModeOption<Request>;
  /** How long to wait in turn for a lock that is held elsewhere, in milliseconds. Default 0: busy at once. */
  waitMs?: number;
  /** The status of the answer when the lock is held elsewhere, 400 to 599. Default 503. */
  status?: number;
  /** The `Retry-After` of that answer, in whole seconds. Default 1. */
  retryAfterS?: number;
  /** The body of that answer. Default `busy`. */
  message?: string;
  /** Lets a request pass without the lock when it gives `true`. */
  skip?: (req: Request) => boolean | Promise<boolean>;
  /**
   * How long the lock is still kept for a handler whose client has disconnected, in milliseconds from then on. It is
   * released earlier when the handler is done. Default 30 000; no limit for a handler of which a promise tells when
   * it is done.
   */
  orphanAfterMs?: number;
  /**
   * `true` for handlers that work for their client alone, as those that send it events: when it leaves, the lock is
   * released at once. Default `false`.
   */
  endsWithClient?: boolean;
  /**
   * How long a client may take nothing of what waits to be sent to it, or send nothing of a body that the handler waits
   * for, while its request holds the lock, in milliseconds. Then it is disconnected. 0: for ever. Default 30 000.
   */
  stallMs?: number;
  /** How long a request may hold the lock before its client is disconnected, with a warning. Default: for ever. */
  maxHoldMs?: number;
  /** Where the locks live. Default: between all processes of this machine, or what `setDefaultStore()` says. */
  store?: LockStore;
}

const MODES: readonly unknown[] = ['exclusive', 'shared'] satisfies LockMode[];

/** Whether a function for the option `mode` gave a mode. */
export function isMode(value: unknown): value is LockMode {
  return MODES.includes(value);
}

/** The rules of {@link GuardOptions}, for requests of one kind. */
export function guardRules<Request>() {
  const lockMode: OptionRule<ModeOption<Request>> = {
    accepts: `'exclusive' or 'shared', or a function that gives one of them for a request`,
    fallback: 'exclusive',
    test: (value) => typeof value === 'function' || isMode(value),
  };
  return {
    namespace: text(),
    permits: integer(1, MAX_PERMITS, 1),
    mode: lockMode,
    waitMs: integer(0, MAX_TIMER_MS, 0),
    status: integer(400, 599, 503),
    retryAfterS: integer(0, MAX_TIMER_MS, 1),
    message: text('busy'),
    skip: callback<GuardOptions<Request>['skip']>('a function', undefined),
    orphanAfterMs: integer(0, MAX_TIMER_MS),
    endsWithClient: flag(false),
    stallMs: integer(0, MAX_TIMER_MS, 30_000),
    maxHoldMs: integer(1, MAX_TIMER_MS),
    store: storeOption,
  };
}

/** Options that are read, complete. */
export type GuardConfig<Request> = Parsed<ReturnType<typeof guardRules<Request>>>;

/** What the store cannot do, or several permits contradict, is said now and not to the first client. */
export function checkAbilities<Request>(owner: string, { store, permits, mode, waitMs }: GuardConfig<Request>): void {
  if (waitMs > 0 && store?.can.wait === false) {
    throw optionError(owner, 'waitMs', waitMs, '0 or absent with a store that cannot wait');
  }
  if (mode !== 'exclusive' && store?.can.share === false) {
    throw optionError(owner, 'mode', mode, `'exclusive' or absent with a store that cannot share`);
  }
  if (mode !== 'exclusive' && permits > 1) {
    throw optionError(owner, 'mode', mode, `'exclusive' or absent with ${permits} permits`);
  }
}

/** An `onBusy` answers alone: nothing would come of the options of the built-in answer beside it. */
export function checkOneAnswer(
  owner: string,
  options: (Pick<GuardOptions<never>, 'status' | 'retryAfterS' | 'message'> & { onBusy?: unknown }) | undefined,
): void {
  if (options?.onBusy === undefined) return;
  for (const key of ['status', 'retryAfterS', 'message'] as const) {
    if (options[key] === undefined) continue;
    const message = `${owner}: option "${key}" has no effect beside "onBusy", which gives the whole answer: leave one out`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  }
}
