// The way of a request to its handler, past the lock. Both HTTP forms are this gate; they differ in what they call
// behind it.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { describe, SemlockError } from '../errors.js';
import type { Held, LockMode } from '../lock/held.js';
import { KeyedLocks } from '../lock/keyed-locks.js';
import type { StoreLock, StoreTry } from '../lock/store.js';
import { defaultNamespace } from '../namespace.js';
import { checkLockName } from '../names.js';
import { busyResponder } from './busy-response.js';
import { heldAlready, releaseUnanswered, RequestHold, type LockIdentity } from './hold-until-done.js';
import { isMode, type AnyLockName, type HttpLockConfig } from './http-options.js';
import { isThenable, type Next } from './http-types.js';
import { setLockOf } from './request-lock.js';
import { isOver } from './response-state.js';
import { waitInTurn, type WaitEnd } from './wait-in-turn.js';

/** Calls the handler. `hold` has been entered for it, and has to be left; `undefined` when the request was skipped. */
export type Enter = (req: IncomingMessage, res: ServerResponse, next: Next, hold: RequestHold | undefined) => unknown;

/** Runs a request through the gate; gives what the handler gave, or a promise of it. */
export type Gate = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/** Stands for the name of a lock when the option `skip` says that none is needed. */
const SKIPPED = Symbol('skipped');
type Target = string | typeof SKIPPED;

/** What a lock is asked for in each mode. Exclusive is the default, and the store's quickest way. */
const HOW: Record<LockMode, StoreTry | undefined> = { exclusive: undefined, shared: { mode: 'shared' } };

/**
 * Makes the gate before `enter`. A busy lock is answered here. When the lock cannot be had for another reason, `next`
 * is given the error, and the handler does not run: the gate fails closed.
 */
export function lockGate(owner: string, name: AnyLockName, config: HttpLockConfig, enter: Enter): Gate {
  const { store, permits, waitMs, orphanAfterMs } = config;
  const namespace = config.namespace ?? defaultNamespace();
  const onBusy = config.onBusy ?? busyResponder(config);
  const targetOf = targetFinder(name, config.skip);
  const modeOf = modeFinder(owner, config.mode);
  const lockNamed = lockFinder();

  return function pass(req, res, next) {
    let target: Target | PromiseLike<Target>;
    try {
      target = targetOf(req);
    } catch (error) {
      return next(asHttpError(owner, error, 500));
    }
    return isThenable(target) ? passLater(req, res, next, target) : proceed(req, res, next, target);
  };

  async function passLater(req: IncomingMessage, res: ServerResponse, next: Next, pending: PromiseLike<Target>) {
    let target: Target;
    try {
      target = await pending;
    } catch (error) {
      return next(asHttpError(owner, error, 500));
    }
    return proceed(req, res, next, target);
  }

  function proceed(req: IncomingMessage, res: ServerResponse, next: Next, target: Target): unknown {
    if (target === SKIPPED) return enter(req, res, next, undefined);
    // Read from the state of the response, here and at every entry, because an event may have come before this.
    if (isOver(req, res)) {
      releaseUnanswered(req);
      return undefined;
    }

    let mode: LockMode;
    try {
      mode = modeOf(req);
    } catch (error) {
      return next(asHttpError(owner, error, 500));
    }
    const lock: LockIdentity = { store, namespace, name: target };
    const mine = heldAlready(req, lock);
    if (mine !== undefined) {
      if (mine.mode === 'shared' && mode === 'exclusive') return next(asHttpError(owner, upgrade(owner, target), 500));
      setLockOf(req, mine);
      return enter(req, res, next, mine.enter());
    }

    let storeLock: StoreLock;
    let held: Held | null;
    try {
      storeLock = lockNamed(target);
      held = storeLock.tryAcquire(HOW[mode]);
    } catch (error) {
      return next(asHttpError(owner, error, isNameError(error) ? 500 : 503));
    }
    if (held !== null) return enterHolding(req, res, next, lock, held);
    return waitMs === 0 ? refuse(req, res, next, target) : enterInTurn(req, res, next, lock, storeLock, mode);
  }

  function enterHolding(req: IncomingMessage, res: ServerResponse, next: Next, lock: LockIdentity, held: Held) {
    let hold: RequestHold;
    try {
      hold = new RequestHold(req, res, lock, held, orphanAfterMs);
    } catch (error) {
      held.release();
      return next(asHttpError(owner, error, 500));
    }
    return enter(req, res, next, hold.enter());
  }

  async function enterInTurn(
    req: IncomingMessage,
    res: ServerResponse,
    next: Next,
    lock: LockIdentity,
    storeLock: StoreLock,
    mode: LockMode,
  ) {
    let end: WaitEnd;
    try {
      end = await waitInTurn(req, res, storeLock, HOW[mode], waitMs);
    } catch (error) {
      return next(asHttpError(owner, error, 503));
    }
    if (end === 'busy') return refuse(req, res, next, lock.name);
    if (end === 'left') {
      releaseUnanswered(req);
      return undefined;
    }
    return enterHolding(req, res, next, lock, end);
  }

  function refuse(req: IncomingMessage, res: ServerResponse, next: Next, lockName: string): unknown {
    try {
      const answered: unknown = onBusy(req, res, next, { name: lockName });
      return isThenable(answered) ? refuseLater(next, answered) : undefined;
    } catch (error) {
      return next(asHttpError(owner, error, 500));
    }
  }

  async function refuseLater(next: Next, answered: PromiseLike<unknown>) {
    try {
      await answered;
    } catch (error) {
      next(asHttpError(owner, error, 500));
    }
  }

  function lockFinder() {
    const request = { namespace, permits, keyed: typeof name === 'function' };
    if (typeof name === 'string') {
      const lock = store.open(name, request);
      return () => lock;
    }
    const locks = new KeyedLocks((text) => store.open(text, request));
    return (text: string) => {
      checkLockName(owner, text);
      return locks.get(text);
    };
  }
}

function targetFinder(name: AnyLockName, skip: HttpLockConfig['skip']) {
  const nameOf = typeof name === 'function' ? name : () => name;
  if (skip === undefined) return nameOf;
  return (req: IncomingMessage): Target | PromiseLike<Target> => {
    const skipped = skip(req);
    if (isThenable(skipped)) return skipped.then((result) => (result ? SKIPPED : nameOf(req)));
    return skipped ? SKIPPED : nameOf(req);
  };
}

function modeFinder(owner: string, mode: HttpLockConfig['mode']): (req: IncomingMessage) => LockMode {
  if (typeof mode !== 'function') return () => mode;
  return (req) => {
    const result: unknown = mode(req);
    if (isMode(result)) return result;
    const message = `${owner}: the function "mode" must give 'exclusive' or 'shared', but it gave ${describe(result)}`;
    throw new SemlockError('ERR_SEMLOCK_OPTION', message);
  };
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
function asHttpError(owner: string, thrown: unknown, status: number): Error {
  const error =
    thrown instanceof Error ? thrown : new Error(`${owner}: ${describe(thrown)} was thrown`, { cause: thrown });
  if (!('status' in error) && !('statusCode' in error) && Object.isExtensible(error)) {
    Object.assign(error, { status, statusCode: status });
  }
  return error;
}
