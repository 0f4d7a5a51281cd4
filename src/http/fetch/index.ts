/**
 * A lock around a handler that takes a Request and gives a Response, as route handlers of Next.js, SvelteKit,
 * Remix and the like do.
 *
 * @module semlock/fetch
 */

import { describe } from '../../errors.js';
import { busyAnswers } from '../core/busy-answer.js';
import { Busy, makeGuard } from '../core/guard.js';
import {
  checkNamed,
  readForm,
  type BusyInfo,
  type FormOptions,
  type NameOption,
  type TargetOptions,
} from '../core/options.js';
import { exchangeOf } from './exchange.js';

export type { BusyInfo } from '../core/options.js';

const OWNER = 'locked()';

/** Options of {@link locked}, with what is locked; callbacks are given the request. */
export type FetchFileLockOptions<Req = Request> = FormOptions<Req, OnBusy<Req>>;
/** Options of {@link locked} beside what is locked. */
export type FetchLockOptions<Req = Request> = Omit<FetchFileLockOptions<Req>, keyof TargetOptions<never>>;

type OnBusy<Req> = (request: Req, info: BusyInfo) => Response | Promise<Response>;

/**
 * Wraps a handler so that it holds a lock from its call until its promise has settled and the body of its answer was
 * made to the end, or cancelled. A request that finds the lock held elsewhere is answered 503 `busy`, after `waitMs`. If the
 * lock cannot be taken for another reason, the promise rejects. The lock is free before the last piece of the answer can be
 * read.
 *
 * @param name - the lock's name, or a function that makes it from the request; or the options, with a `file`, `files` or
 * `name`.
 * @throws `SemlockError` `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`; `TypeError` without a handler.
 *
 * @example
 * ```ts
 * export const POST = locked('report', async (request) => {
 *   await rewriteReport();
 *   return new Response('done');
 * });
 * ```
 */
export function locked<Req extends Request, Rest extends unknown[]>(
  name: NameOption<Req>,
  handler: (request: Req, ...rest: Rest) => Response | Promise<Response>,
  options?: FetchLockOptions<Req>,
): (request: Req, ...rest: Rest) => Promise<Response>;
export function locked<Req extends Request, Rest extends unknown[]>(
  options: FetchFileLockOptions<Req>,
  handler: (request: Req, ...rest: Rest) => Response | Promise<Response>,
): (request: Req, ...rest: Rest) => Promise<Response>;
export function locked<Rest extends unknown[]>(
  nameOrOptions: unknown,
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
  options?: unknown,
): (request: Request, ...rest: Rest) => Promise<Response> {
  checkNamed(OWNER, nameOrOptions);
  if (typeof handler !== 'function') {
    throw new TypeError(`${OWNER}: the handler must be a function, but ${describe(handler)} was given`);
  }
  const config = readForm<Request, OnBusy<Request>>(OWNER, nameOrOptions, options);
  const admit = makeGuard(OWNER, config);
  const answerTo = busyAnswers(config);

  return async function lockedHandler(request: Request, ...rest: Rest): Promise<Response> {
    const exchange = exchangeOf(request);
    const admission = await admit(request, exchange);
    if (admission === 'skipped') return handler(request, ...rest);
    if (admission === 'left') return new Response(null, { status: 499 }); // nobody reads it
    if (admission instanceof Busy) {
      if (config.onBusy !== undefined) return config.onBusy(request, { name: admission.name });
      const { status, headers, body } = answerTo(request.headers.get('accept') ?? undefined);
      return new Response(request.method === 'HEAD' ? null : body, { status, headers });
    }
    admission.enter(); // once for the work, and once for the answer, whose body may be made later
    exchange.enter();
    admission.untilAnswered();
    exchange.exit();
    try {
      return await exchange.answer(await admission.during(call(handler, request, rest)));
    } catch (error) {
      exchange.failed();
      throw error;
    }
  };
}

async function call<Rest extends unknown[]>(
  handler: (request: Request, ...rest: Rest) => Response | Promise<Response>,
  request: Request,
  rest: Rest,
): Promise<Response> {
  return handler(request, ...rest);
}
