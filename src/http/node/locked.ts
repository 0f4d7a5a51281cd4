// The wrapper around one handler, for those who know when their work is done: when the handler's promise settles.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { describe } from '../../errors.js';
import type { Use } from '../core/lock-use.js';
import { checkNamed, isThenable } from '../core/options.js';
import { makePass, type Enter } from './pass.js';
import type {
  DefaultRequest,
  DefaultResponse,
  FileLockOptions,
  HttpLockOptions,
  LockedRequest,
  LockName,
  Next,
} from './types.js';

const OWNER = 'locked()';

/** A handler that {@link locked} can wrap. */
export type LockedHandler<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
> = (req: LockedRequest<Req>, res: Res, next: Next) => unknown;

/**
 * Wraps a handler so that it holds a lock from its call until the promise it returns has settled, whether the response is
 * over before or after that, and also if the request has that lock already. A handler that returns no promise holds the lock
 * until the answer is given, as with {@link fileLock}. What a stream still does when the promise settles is not protected, so
 * write `await pipeline(file, res)`. If a handler answers and then works on, the next request of its client may be told busy.
 *
 * When the client disconnects, the lock is kept until the promise settles, without a limit unless `orphanAfterMs` is given.
 * All else, the answer `busy` included, is as with {@link fileLock}.
 *
 * An error, thrown or a rejection, goes to `next`, in Express 4 and Connect too. Where there is no `next`, as in
 * `http.createServer(locked(…))`, an error is thrown, or rejects the promise that the wrapped handler returns, as if the
 * handler stood alone.
 *
 * @param name - the lock's name, or a function that makes it from the request; or the options, with a `file`, `files` or
 * `name`.
 * @throws `SemlockError` `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`; `TypeError` without a handler.
 *
 * @example
 * ```ts
 * import { basename, resolve } from 'node:path';
 *
 * app.post('/report', locked('report', async (req, res) => {
 *   await rewriteReport();
 *   res.send('done');
 * }));
 * app.put('/files/:name', locked({ file: (req) => resolve('data', basename(req.params.name)) }, async (req, res) => { … }));
 * ```
 */
export function locked<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse>(
  name: LockName<Req>,
  handler: LockedHandler<Req, Res>,
  options?: HttpLockOptions<Req, Res>,
): (req: IncomingMessage, res: ServerResponse, next?: Next) => void | Promise<void>;
export function locked<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse>(
  options: FileLockOptions<Req, Res>,
  handler: LockedHandler<Req, Res>,
): (req: IncomingMessage, res: ServerResponse, next?: Next) => void | Promise<void>;
export function locked(nameOrOptions: unknown, handler: AnyHandler, options?: unknown) {
  checkNamed(OWNER, nameOrOptions);
  if (typeof handler !== 'function') {
    throw new TypeError(`${OWNER}: the handler must be a function, but ${describe(handler)} was given`);
  }
  const pass = makePass(OWNER, nameOrOptions, options, runUnderLock(handler));

  return function lockedHandler(req: IncomingMessage, res: ServerResponse, next: Next = raise): unknown {
    return pass(req, res, next);
  };
}

/** Stands in for `next` where there is none: nobody but the caller can handle an error. */
function raise(error?: unknown): void {
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- Passed on as it was thrown.
  if (error !== undefined) throw error;
}

type AnyHandler = LockedHandler<IncomingMessage, ServerResponse>;

function runUnderLock(handler: AnyHandler): Enter {
  return function callHandler(req, res, next, use) {
    let result: unknown;
    try {
      result = handler(req as LockedRequest<IncomingMessage>, res, next);
    } catch (error) {
      use?.leave();
      // Not thrown: when the handler had to wait for its lock, nobody would catch it in Express 4 and Connect.
      return next(asError(error));
    }
    if (isThenable(result)) return settle(result, next, use);
    use?.untilAnswered();
    return undefined;
  };
}

async function settle(result: PromiseLike<unknown>, next: Next, use: Use | undefined): Promise<void> {
  try {
    await (use === undefined ? result : use.during(result));
  } catch (error) {
    next(asError(error));
  }
}

/** As in Express 5: a rejection without a reason is an error nevertheless. */
function asError(reason: unknown): unknown {
  return reason || new Error('The handler rejected without a reason');
}
