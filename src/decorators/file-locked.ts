// fileLock() for controllers. Frameworks pass a method its request, response and `next` in an order that the method's
// author chose, and each has its own idea of what the method's result means.

import type { IncomingMessage, ServerResponse } from 'node:http';

import { isThenable } from '../http/core/options.js';
import { fileLock } from '../http/node/file-lock.js';
import type {
  DefaultRequest,
  DefaultResponse,
  FileLockOptions,
  HttpLockOptions,
  LockName,
  Middleware,
} from '../http/node/types.js';
import { methodDecorator, type DualMethodDecorator } from './method-decorator.js';

/**
 * Puts {@link fileLock} before a method that handles a request: the method runs with the lock held, which is released
 * when the response is over; while the lock is held elsewhere, the client is told so and the method is not called.
 *
 * The response has to be among the method's arguments, at any place; the request is taken from it. A framework
 * that passes arguments by parameter decorators passes it for `@Res()` or `@Response()`. What the method returns or throws
 * reaches the framework as without this. When the middleware has answered instead, the call gives a promise of the response
 * that settles when the response is over, so frameworks know that nothing is left to send. An error of the lock itself is
 * thrown. If the name was a promise, the call has returned by then: its promise rejects, or where the arguments begin with
 * `(req, res, next)` the error goes to `next`, because Express 4 ignores promises.
 *
 * Works as a standard decorator and under `experimentalDecorators`, on instance and static methods, above or below the
 * framework's own decorator. In NestJS take `@Res()` without `passthrough`, which would answer a second time.
 *
 * @param name - as {@link fileLock} takes it, and the options too.
 * @throws {@link SemlockError} as {@link fileLock} does. `TypeError` where it stands on anything but a method; from
 * the method, when no argument is a response.
 *
 * @example
 * ```ts
 * class Reports {
 *   @FileLocked('report')
 *   async create(req: Request, res: Response) { … }
 * }
 * ```
 */
export function FileLocked<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse>(
  name?: LockName<Req>,
  options?: HttpLockOptions<Req, Res>,
): DualMethodDecorator<unknown, [], unknown>;
export function FileLocked<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse>(
  options: FileLockOptions<Req, Res>,
): DualMethodDecorator<unknown, [], unknown>;
export function FileLocked(
  nameOrOptions?: LockName | FileLockOptions,
  options?: FileLockOptions,
): DualMethodDecorator<unknown, [], unknown> {
  // Both forms of fileLock(), which tells them apart.
  const middleware = fileLock(nameOrOptions as LockName, options);

  return methodDecorator('@FileLocked()', (method) => {
    return function (this: unknown, ...args: unknown[]) {
      const res = args.find(isResponse);
      if (res === undefined) {
        throw new TypeError('@FileLocked() found no response among the arguments of the method that it stands on');
      }
      return passThrough(middleware, res, nextAmong(args, res), () => method.apply(this, args));
    };
  });
}

/** By a function that no other argument has; and no client can forge it, because parsed bodies hold no functions. */
function isResponse(value: unknown): value is ServerResponse {
  return typeof (value as { writeHead?: unknown } | null | undefined)?.writeHead === 'function';
}

type Report = (error: unknown) => void;

/** `next`, where the method is called as Express calls a handler. Elsewhere a function may be anything. */
function nextAmong(args: readonly unknown[], res: ServerResponse): Report | undefined {
  return args[1] === res && typeof args[2] === 'function' ? (args[2] as Report) : undefined;
}

/**
 * Calls the method behind the middleware, at once where that decides at once, so that a method that is not async stays
 * so. Gives the method's own result: the middleware's is lost where an `onBusy` calls `next` and does not return it.
 */
function passThrough(middleware: Middleware, res: ServerResponse, report: Report | undefined, call: () => unknown) {
  let entered = false;
  let result: unknown;
  let enter = (error: unknown): unknown => {
    entered = true;
    raise(error);
    return (result = call());
  };
  const passed: unknown = middleware(res.req, res, (error) => enter(error));
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- TypeScript does not look into callbacks.
  if (entered) return isThenable(passed) ? Promise.all([result, passed]).then(([value]) => value) : result;

  return new Promise((resolve, reject) => {
    enter = (error) => {
      const late = enterLate(error, res, report, call);
      resolve(late);
      return late;
    };
    if (isThenable(passed)) passed.then(undefined, reject);
    void over(res).then(() => {
      enter = () => undefined; // There is nobody left to answer.
      resolve(res); // Changes nothing once the method was called: then its promise counts.
    });
  });
}

/** Throws what the middleware gave to `next`, if anything. */
function raise(error: unknown): void {
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- Express knows 'route' and 'router' as well.
  if (error) throw error;
}

/** As entering in time, but nobody is there any more to catch what is thrown. */
async function enterLate(error: unknown, res: ServerResponse, report: Report | undefined, call: () => unknown) {
  let result: unknown;
  try {
    raise(error);
    result = call();
  } catch (failure) {
    if (report === undefined) throw failure;
    report(failure);
    return over(res);
  }
  return result;
}

/** Gives the response when it was sent or its connection is gone. */
function over(res: ServerResponse): Promise<ServerResponse> {
  return new Promise((resolve) => {
    process.getBuiltinModule('node:stream').finished(res, () => resolve(res));
  });
}
