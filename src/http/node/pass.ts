// A guard before (req, res, next): what both HTTP forms of node:http share. They differ in what they call behind it.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { asHttpError, Busy, makeGuard, type Admission } from '../core/guard.js';
import type { Use } from '../core/lock-use.js';
import { isThenable, readForm } from '../core/options.js';
import { busyResponder } from './busy-response.js';
import { exchangeOf } from './exchange.js';
import type { LockableRequest, Next, OnBusy } from './types.js';

/** Calls the handler. `use` has been entered for it, and has to be left; `undefined` when the request was skipped. */
export type Enter = (req: IncomingMessage, res: ServerResponse, next: Next, use: Use | undefined) => unknown;

/** Runs a request past the lock; gives what the handler gave, or a promise of it. */
export type Pass = (req: IncomingMessage, res: ServerResponse, next: Next) => unknown;

/**
 * Makes what stands before `enter`, by the arguments `(name, options)` or `(options)`. Busy is answered here; `next` is given
 * the error when the lock cannot be taken.
 */
export function makePass(owner: string, nameOrOptions: unknown, options: unknown, enter: Enter): Pass {
  const config = readForm<IncomingMessage, OnBusy<IncomingMessage, ServerResponse>>(owner, nameOrOptions, options);
  const admit = makeGuard(owner, config);
  const onBusy = config.onBusy ?? busyResponder(config);

  return function pass(req, res, next) {
    let admission: Admission | Promise<Admission>;
    try {
      admission = admit(req, exchangeOf(req, res));
    } catch (error) {
      return next(error);
    }
    return isThenable(admission) ? passLater(req, res, next, admission) : goOn(req, res, next, admission);
  };

  async function passLater(req: IncomingMessage, res: ServerResponse, next: Next, pending: PromiseLike<Admission>) {
    let admission: Admission;
    try {
      admission = await pending;
    } catch (error) {
      return next(error);
    }
    return goOn(req, res, next, admission);
  }

  function goOn(req: IncomingMessage, res: ServerResponse, next: Next, admission: Admission): unknown {
    if (admission === 'left') return undefined;
    if (admission === 'skipped') return enter(req, res, next, undefined);
    if (admission instanceof Busy) return refuse(req, res, next, admission.name);
    try {
      (req as LockableRequest).lock = admission.hold;
    } catch (error) {
      admission.leave();
      return next(asHttpError(owner, error, 500));
    }
    admission.exchange.enter();
    try {
      return enter(req, res, next, admission);
    } finally {
      admission.exchange.exit();
    }
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
}
