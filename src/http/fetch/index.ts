// semlock/fetch: a lock around a handler that takes a Request and gives a Response, as route handlers of Next.js, SvelteKit,
// Remix and the like do.

import { describe } from '../../errors.js';
import { checkLockName } from '../../names.js';
import { busyAnswers } from '../core/busy-answer.js';
import { formParser, type FormOptions } from '../core/form-options.js';
import { Busy, makeGuard, type NameOption } from '../core/guard.js';
import { exchangeOf } from './exchange.js';

export type { BusyInfo } from '../core/form-options.js';

const OWNER = 'locked()';

/** Options of {@link locked}; callbacks are given the request. */
export type FetchLockOptions = Omit<FormOptions<Request, Response | Promise<Response>>, 'name'>;

const parse = formParser<Request, Response | Promise<Response>>();

/**
 * Wraps a handler so that it holds a lock from its call until its promise has settled and the body of its answer was
 * made to the end, or cancelled. A request that finds the lock held elsewhere is answered 503 `busy`, after `waitMs`; one
 * whose lock cannot be had rejects. The lock is free before the last piece of the answer can be read.
 *
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
  options?: FetchLockOptions,
): (request: Req, ...rest: Rest) => Promise<Response> {
  if (typeof name !== 'function') checkLockName(OWNER, name);
  if (typeof handler !== 'function') {
    throw new TypeError(`${OWNER}: the handler must be a function, but ${describe(handler)} was given`);
  }
  const config = parse(OWNER, options);
  const admit = makeGuard<Request>(OWNER, name as NameOption<Request>, config);
  const answerTo = busyAnswers(config);

  return async function lockedHandler(request: Req, ...rest: Rest): Promise<Response> {
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
      return exchange.answer(await admission.during(call(handler, request, rest)));
    } catch (error) {
      exchange.failed();
      throw error;
    }
  };
}

async function call<Req, Rest extends unknown[]>(
  handler: (request: Req, ...rest: Rest) => Response | Promise<Response>,
  request: Req,
  rest: Rest,
): Promise<Response> {
  return handler(request, ...rest);
}
