// The way of a request to its handler, past the lock. It knows no framework: an adapter gives it the request that the
// user's callbacks see and the exchange, and does what it says.

import { describe, SemlockError } from '../../errors.js';
import { checkLockName } from '../../names.js';
import { defaultNamespace } from '../../namespace.js';
import type { Exchange } from './exchange.js';
import {
  KeyedLocks,
  storeIdentity,
  tryNow,
  waitInTurn,
  StoredLock,
  type Hold,
  type LockIdentity,
  type LockMode,
} from './locks.js';
import { isMode, type GuardConfig } from './options.js';
import { RequestHold } from './request-hold.js';

/** The lock is held elsewhere: the client has to be told. */
export class Busy {
  /** The name of the lock. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/**
 * What becomes of a request: it holds the lock, for a part of the work that has to be ended; or the option `skip` lets it
 * pass without one; or the lock is busy; or nobody is there any more who could be answered.
 */
export type Admission = RequestHold | Busy | 'skipped' | 'left';

/** A lock's name, or a function that makes it from the request. */
export type NameOption<Request> = string | ((req: Request) => string | Promise<string>);

/**
 * Admits a request. Where that needs no waiting, it tells at once. Throws, or rejects with, an `Error` that has a
 * `status` when the lock cannot be had for another reason than being busy: then the handler must not run.
 */
export type Guard<Request> = (req: Request, exchange: Exchange) => Admission | Promise<Admission>;

/** Stands for the name of a lock when the option `skip` says that none is needed. */
const SKIPPED = Symbol('skipped');
type Target = string | typeof SKIPPED;

/** Makes the guard of a middleware. `owner` opens the messages of errors, for example `fileLock()`. */
export function makeGuard<Request>(
  owner: string,
  name: NameOption<Request>,
  config: GuardConfig<Request>,
): Guard<Request> {
  const { store, waitMs } = config;
  const namespace = config.namespace ?? defaultNamespace();
  const targetOf = targetFinder(name, config.skip);
  const modeOf = modeFinder(owner, config.mode);
  const lockNamed = lockFinder(owner, name, namespace, config);

  return function admit(req, exchange) {
    const target = attempt(owner, 500, targetOf, req);
    return isThenable(target) ? admitLater(req, exchange, target) : admitTo(target, req, exchange);
  };

  async function admitLater(req: Request, exchange: Exchange, pending: PromiseLike<Target>): Promise<Admission> {
    let target: Target;
    try {
      target = await pending;
    } catch (error) {
      throw asHttpError(owner, error, 500);
    }
    return admitTo(target, req, exchange);
  }

  function admitTo(target: Target, req: Request, exchange: Exchange): Admission | Promise<Admission> {
    if (target === SKIPPED) return 'skipped';
    // Read from the state of the answer, here and at every entry, because an event may have come before this.
    if (exchange.isOver()) return gone(exchange);

    const mode = attempt(owner, 500, modeOf, req);
    const identity: LockIdentity = { store: storeIdentity(store), namespace, name: target };
    const mine = exchange.find(identity);
    if (mine !== undefined) {
      if (mine.mode === 'shared' && mode === 'exclusive') throw asHttpError(owner, upgrade(owner, target), 500);
      return mine.enter();
    }

    let lock: StoredLock;
    let held: Hold | null;
    try {
      lock = lockNamed(target);
      held = tryNow(lock, mode);
    } catch (error) {
      throw asHttpError(owner, error, isNameError(error) ? 500 : 503);
    }
    if (held !== null) return new RequestHold(exchange, identity, held, config).enter();
    return waitMs === 0 && lock.isSync ? new Busy(target) : admitInTurn(exchange, identity, lock, mode);
  }

  /** A handler that nobody waits for any more must not take the lock from those who are still there. */
  async function admitInTurn(
    exchange: Exchange,
    identity: LockIdentity,
    lock: StoredLock,
    mode: LockMode,
  ): Promise<Admission> {
    const left = new AbortController();
    const stay = exchange.onLeave(() => left.abort());
    let held: Hold | null;
    try {
      held = await waitInTurn(lock, mode, waitMs, left.signal);
    } catch (error) {
      if (left.signal.aborted || exchange.isOver()) return gone(exchange);
      throw asHttpError(owner, error, 503);
    } finally {
      stay();
    }
    if (exchange.isOver()) {
      if (held !== null) held.decline();
      return gone(exchange);
    }
    if (held === null) return new Busy(identity.name);
    return new RequestHold(exchange, identity, held, config).enter();
  }
}

/** No handler will run that could end what the request holds already. */
function gone(exchange: Exchange): 'left' {
  exchange.nobodyAnswers();
  return 'left';
}

function lockFinder<Request>(
  owner: string,
  name: NameOption<Request>,
  namespace: string,
  { store, permits }: GuardConfig<Request>,
): (name: string) => StoredLock {
  const options = { store, namespace, permits };
  if (typeof name === 'string') {
    const lock = new StoredLock(owner, name, options);
    return () => lock;
  }
  const locks = new KeyedLocks((text) => new StoredLock(owner, text, { ...options, keyed: true }));
  return (text) => {
    checkLockName(owner, text);
    return locks.get(text);
  };
}

function targetFinder<Request>(name: NameOption<Request>, skip: GuardConfig<Request>['skip']) {
  const nameOf = typeof name === 'function' ? name : () => name;
  if (skip === undefined) return nameOf;
  return (req: Request): Target | PromiseLike<Target> => {
    const skipped = skip(req);
    if (isThenable(skipped)) return skipped.then((result) => (result ? SKIPPED : nameOf(req)));
    return skipped ? SKIPPED : nameOf(req);
  };
}

function modeFinder<Request>(owner: string, mode: GuardConfig<Request>['mode']): (req: Request) => LockMode {
  if (typeof mode !== 'function') return () => mode;
  return (req) => {
    const result: unknown = mode(req);
    if (isMode(result)) return result;
    const message = `${owner}: the function "mode" must give 'exclusive' or 'shared', but it gave ${describe(result)}`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  };
}

function attempt<Request, T>(owner: string, status: number, call: (req: Request) => T, req: Request): T {
  try {
    return call(req);
  } catch (error) {
    throw asHttpError(owner, error, status);
  }
}

/** A request that reads and now wants to write would wait for itself, and two of them for each other. */
function upgrade(owner: string, lockName: string): SemlockError {
  const message =
    `${owner}: this request holds the lock "${lockName}" shared, so it cannot have it exclusively: ` +
    'take it exclusively from the start, or release it first';
  return new SemlockError('ERR_SEMLOCK_UPGRADE', message, { lockName });
}

function isNameError(error: unknown): boolean {
  return error instanceof SemlockError && error.code === 'ERR_SEMLOCK_NAME';
}

/**
 * What the error handler is given: always an `Error`, because routers take some other values ('route', undefined) for
 * no error at all and would run the handler unprotected; with a status, unless it has one of its own.
 */
export function asHttpError(owner: string, thrown: unknown, status: number): Error {
  const error =
    thrown instanceof Error ? thrown : new Error(`${owner}: ${describe(thrown)} was thrown`, { cause: thrown });
  if (!('status' in error) && !('statusCode' in error) && Object.isExtensible(error)) {
    Object.assign(error, { status, statusCode: status });
  }
  return error;
}

/** Whether a result is a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
