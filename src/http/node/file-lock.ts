// The middleware: one line that lets one request at a time, in all processes together, into what comes after it.

import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Use } from '../core/lock-use.js';
import { isThenable } from '../core/options.js';
import { makePass } from './pass.js';
import type {
  DefaultRequest,
  DefaultResponse,
  FileLockOptions,
  HttpLockOptions,
  LockName,
  Middleware,
  Next,
} from './types.js';

const OWNER = 'fileLock()';

/**
 * A middleware that holds a lock from here until the handler has given its whole answer. A request that finds it held
 * elsewhere waits in turn for `waitMs`, by default not at all, and is then answered 503 `busy`, with `Retry-After`; its
 * handler does not run. If the client leaves while its request waits, the handler does not run either. With the mode
 * `'shared'` requests that only read pass together.
 *
 * The lock is free before the last byte of the answer can be read, so a client that sends one request after the other is
 * never told busy by itself. What a handler still does after `res.end()`, until it returns or awaits, is covered.
 *
 * A client that disconnects does not release the lock, because its handler still works. It is released when the
 * handler ends the response or destroys it, when a stream piped into the response is torn down, or by
 * `req.lock.release()`; and after `orphanAfterMs`, with a warning (`SEMLOCK_ORPHANED`) and a message on the diagnostics
 * channel `semlock:orphaned`. A client that does nothing for `stallMs`, though it is waited for, is disconnected.
 *
 * One request never blocks itself: where it meets a lock that it holds, it passes. Errors go to `next` with a `status`:
 * 503 when the lock cannot be taken, 500 when its name or mode cannot be made, or when the request holds the lock shared and
 * now wants it exclusively (`ERR_SEMLOCK_UPGRADE`).
 *
 * Works in Express 4 and 5, Connect, and with plain `node:http`, whose callers give a `next` of their own. The middleware
 * returns what `next` returns.
 *
 * @param name - the lock's name, or a function that makes it from the request. Default `default`.
 * @throws {@link SemlockError} `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`, at creation.
 *
 * @example
 * ```ts
 * import { basename, resolve } from 'node:path';
 *
 * app.use(fileLock());
 * app.use('/reports', fileLock('reports'));
 * const path = (name: string) => resolve('data', basename(name));
 * app.put('/files/:name', fileLock({ file: (req) => path(req.params.name), waitMs: 2_000 }), handler);
 * app.get('/files/:name', fileLock({ file: (req) => path(req.params.name), mode: 'shared' }), handler);
 * app.post('/copy/:from/:to', fileLock({ files: ({ params }) => [path(params.from), path(params.to)] }), handler);
 * ```
 */
export function fileLock<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse>(
  name?: LockName<Req>,
  options?: HttpLockOptions<Req, Res>,
): Middleware;
export function fileLock<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse>(
  options: FileLockOptions<Req, Res>,
): Middleware;
export function fileLock(nameOrOptions?: unknown, options?: unknown): Middleware {
  const pass = makePass(OWNER, nameOrOptions, options, goOn);

  return function fileLockMiddleware(req, res, next) {
    return pass(req, res, next) as ReturnType<Middleware>;
  };
}

/**
 * Everything after the middleware happens inside `next`. In Express and Connect it neither throws nor returns anything:
 * the error handler answers, and the response's end releases. In plain node:http it is the handler itself.
 */
function goOn(_req: IncomingMessage, _res: ServerResponse, next: Next, use: Use | undefined): unknown {
  if (use === undefined) return next();
  let result: unknown;
  try {
    result = next();
  } catch (error) {
    use.leave();
    throw error;
  }
  use.untilAnswered();
  return isThenable(result) ? releaseOnRejection(result, use) : result;
}

async function releaseOnRejection(result: PromiseLike<unknown>, use: Use): Promise<unknown> {
  try {
    return await result;
  } catch (error) {
    use.leaveUnanswered();
    throw error;
  }
}
