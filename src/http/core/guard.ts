// The way of a request to its handler, past the lock. It knows no framework: an adapter gives it the request that the
// user's callbacks see and the exchange, and does what it says.

import { byOrder, takeAll } from '../../acquire-all.js';
import { describe, SemlockError } from '../../errors.js';
import type { Hold } from '../../hold.js';
import { Holds } from '../../holds.js';
import { KeyedLocks } from '../../keyed-locks.js';
import { checkLockName } from '../../names.js';
import { defaultNamespace } from '../../namespace.js';
import type { LockMode } from '../../store.js';
import { StoredLock } from '../../stored-lock.js';
import type { Exchange } from './exchange.js';
import { LockUse, LockUses, type Use } from './lock-use.js';
import { FormLock, tryNow, waitInTurn } from './locks.js';
import { isMode, isThenable, type FormConfig } from './options.js';

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
 * pass without one; or the lock is busy; or the client has left, so that nobody could be answered.
 */
export type Admission = Use | Busy | 'skipped' | 'left';

/**
 * Admits a request. Where that needs no waiting, it tells at once. Throws, or rejects with, an `Error` that has a
 * `status` when the lock cannot be taken for another reason than being busy: then the handler must not run.
 */
export type Guard<Request> = (req: Request, exchange: Exchange) => Admission | Promise<Admission>;

/** Stands for the lock when the option `skip` says that none is needed. */
const SKIPPED = Symbol('skipped');
/** The name of a lock, or a list of them. */
type Names = string | readonly string[];

/** Makes the guard of a form. `owner` opens the messages of errors, for example `fileLock()`. */
export function makeGuard<Request>(owner: string, config: Omit<FormConfig<Request>, 'onBusy'>): Guard<Request> {
  const { waitMs } = config;
  const several = config.target.several;
  const namesOf = namesFinder(config);
  const modeOf = modeFinder(owner, config.mode);
  const lockNamed = lockFinder(owner, config);

  return function admit(req, exchange) {
    const names = attempt(owner, 500, namesOf, req);
    return isThenable(names) ? admitLater(req, exchange, names) : admitTo(names, req, exchange);
  };

  async function admitLater(
    req: Request,
    exchange: Exchange,
    pending: PromiseLike<Names | typeof SKIPPED>,
  ): Promise<Admission> {
    let names: Names | typeof SKIPPED;
    try {
      names = await pending;
    } catch (error) {
      throw asHttpError(owner, error, 500);
    }
    return admitTo(names, req, exchange);
  }

  function admitTo(names: Names | typeof SKIPPED, req: Request, exchange: Exchange): Admission | Promise<Admission> {
    if (names === SKIPPED) return 'skipped';
    // Read from the state of the answer, here and at every entry, because an event may have come before this.
    if (exchange.isOver()) return gone(exchange);

    const mode = attempt(owner, 500, modeOf, req);
    if (several) return admitToAll(checkNames(owner, names), mode, exchange);
    const lock = attempt(owner, 500, lockNamed, names as string);
    const mine = exchange.find(lock);
    if (mine !== undefined) return checkUpgrade(owner, mine, mode).enter();

    let held: Hold | null;
    try {
      held = tryNow(lock.stored, mode);
    } catch (error) {
      throw asHttpError(owner, error, 503);
    }
    if (held !== null) return new LockUse(exchange, lock, held, config);
    return waitMs === 0 && lock.stored.isSync ? new Busy(lock.name) : admitInTurn(exchange, lock, mode);
  }

  async function admitInTurn(exchange: Exchange, lock: FormLock, mode: LockMode): Promise<Admission> {
    const held = await whileThere(exchange, (signal) => waitInTurn(lock.stored, mode, waitMs, signal));
    if (held === 'left') return gone(exchange);
    return held === null ? new Busy(lock.name) : new LockUse(exchange, lock, held, config);
  }

  async function admitToAll(names: readonly string[], mode: LockMode, exchange: Exchange): Promise<Admission> {
    const uses: LockUse[] = [];
    const missing: { lock: StoredLock; mode: LockMode; form: FormLock }[] = [];
    for (const name of new Set(names)) {
      const form = attempt(owner, 500, lockNamed, name);
      const mine = exchange.find(form);
      if (mine === undefined) missing.push({ lock: form.stored, mode, form });
      else uses.push(checkUpgrade(owner, mine, mode));
    }
    missing.sort(byOrder);
    for (const use of uses) use.enter();
    try {
      const how = waitMs === 0 ? { ifAvailable: true } : { timeoutMs: waitMs };
      const taken = await whileThere(exchange, (signal) => takeAll(missing, { ...how, signal }));
      if (taken instanceof Holds) {
        const fresh = taken.holds.map((hold, at) => new LockUse(exchange, missing[at]!.form, hold, config));
        return new LockUses(exchange, [...uses, ...fresh]);
      }
      for (const use of uses) use.leave();
      return taken === 'left' ? gone(exchange) : new Busy(taken.name);
    } catch (error) {
      for (const use of uses) use.leave();
      throw error;
    }
  }

  /**
   * What `wait` gives, unless the client leaves meanwhile: a handler that nobody waits for any more must not take the lock
   * from those who are still there.
   */
  async function whileThere<T>(exchange: Exchange, wait: (left: AbortSignal) => Promise<T>): Promise<T | 'left'> {
    const left = new AbortController();
    const stay = exchange.onLeave(() => left.abort());
    let result: T;
    try {
      result = await wait(left.signal);
    } catch (error) {
      if (left.signal.aborted || exchange.isOver()) return 'left';
      throw asHttpError(owner, error, 503);
    } finally {
      stay();
    }
    if (!exchange.isOver()) return result;
    const { holds = [] } = (result ?? {}) as { holds?: readonly Hold[] };
    for (const hold of holds) hold.decline();
    return 'left';
  }
}

/** No handler will run that could end what the request holds already. */
function gone(exchange: Exchange): 'left' {
  exchange.nobodyAnswers();
  return 'left';
}

function lockFinder<Request>(
  owner: string,
  { target, namespace = defaultNamespace(), store, permits, user, group }: Omit<FormConfig<Request>, 'onBusy'>,
): (name: string) => FormLock {
  const options = { store, namespace, permits, user, group };
  if (!target.several && typeof target.name === 'string') {
    const lock = new FormLock(new StoredLock(owner, target.name, options));
    return () => lock;
  }
  const locks = new KeyedLocks((text) => new FormLock(new StoredLock(owner, text, { ...options, keyed: true })));
  return (text) => {
    checkLockName(owner, text);
    return locks.get(text);
  };
}

function namesFinder<Request>({ target, skip }: Omit<FormConfig<Request>, 'onBusy'>) {
  const given = target.several ? target.names : target.name;
  const namesOf = typeof given === 'function' ? given : () => given;
  if (skip === undefined) return namesOf;
  return (req: Request): Names | typeof SKIPPED | PromiseLike<Names | typeof SKIPPED> => {
    const skipped: unknown = skip(req);
    if (isThenable(skipped)) return skipped.then((result) => (result ? SKIPPED : namesOf(req)));
    return skipped ? SKIPPED : namesOf(req);
  };
}

function modeFinder<Request>(owner: string, mode: FormConfig<Request>['mode']): (req: Request) => LockMode {
  if (typeof mode !== 'function') return () => mode;
  return (req) => {
    const result: unknown = mode(req);
    if (isMode(result)) return result;
    const message = `${owner}: the function "mode" must give 'exclusive' or 'shared', but it gave ${describe(result)}`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  };
}

function checkNames(owner: string, names: Names): readonly string[] {
  if (typeof names === 'object' && names.length > 0) return names;
  const message = `${owner}: the function "files" must give a list of paths, but it gave ${describe(names)}`;
  throw asHttpError(owner, new SemlockError('ERR_SEMLOCK_OPTION', message), 500);
}

function attempt<A, T>(owner: string, status: number, call: (argument: A) => T, argument: A): T {
  try {
    return call(argument);
  } catch (error) {
    throw asHttpError(owner, error, status);
  }
}

/** A request that reads and now wants to write would wait for itself, and two of them for each other. */
function checkUpgrade(owner: string, mine: LockUse, mode: LockMode): LockUse {
  const { mode: mineMode, name } = mine.hold;
  if (mineMode === 'exclusive' || mode === 'shared') return mine;
  const message =
    `${owner}: this request holds the lock "${name}" shared, so it cannot have it exclusively: ` +
    'take it exclusively from the start, or release it first';
  throw asHttpError(owner, new SemlockError('ERR_SEMLOCK_UPGRADE', message, { lockName: name }), 500);
}

/**
 * What the error handler is given: always an `Error`, because routers take some other values ('route', undefined) for
 * no error at all and would run the handler unprotected; with a status, unless it has one of its own.
 */
export function asHttpError(owner: string, thrown: unknown, status: number): Error {
  const error =
    thrown instanceof Error ? thrown : new Error(`${owner}: ${describe(thrown)} was thrown`, { cause: thrown });
  if (!('status' in error) && !('statusCode' in error) && Object.isExtensible(error)) {
    // As the package http-errors makes them, by which NestJS knows an error that has a status.
    Object.assign(error, { status, statusCode: status, expose: false });
  }
  return error;
}
