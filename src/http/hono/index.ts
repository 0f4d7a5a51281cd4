/**
 * A middleware for Hono. A streamed body still runs when `next()` has settled, so the lock is held until it is
 * through.
 *
 * @module semlock/hono
 */

import type { IncomingMessage } from 'node:http';

import type { Held } from '../../hold.js';
import { busyAnswers } from '../core/busy-answer.js';
import { Busy, makeGuard } from '../core/guard.js';
import { readForm, type BusyInfo, type FormOptions, type NameOption, type TargetOptions } from '../core/options.js';
import { exchangeOf } from '../fetch/exchange.js';

export type { BusyInfo } from '../core/options.js';

const OWNER = 'fileLock()';

/** What is needed of Hono's context. */
export interface HonoContext {
  readonly req: { readonly raw: Request };
  res: Response;
  readonly error: Error | undefined;
  /** On Node.js it has the request that the server was given. */
  readonly env: unknown;
  set(key: 'lock', value: Held): void;
}

/** Options of {@link fileLock}; callbacks are given the context. */
export type HonoLockOptions<Context extends HonoContext> = FormOptions<Context, OnBusy<Context>>;

type OnBusy<Context> = (c: Context, info: BusyInfo) => Response | Promise<Response>;

/**
 * A middleware that holds a lock from here until the answer was made to the end. One that finds it held elsewhere answers
 * 503 `busy`, after `waitMs`. `c.get('lock')` is what the request holds.
 *
 * @throws `SemlockError` `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`, at creation.
 *
 * @example
 * ```ts
 * import { Hono } from 'hono';
 * import { fileLock } from 'semlock/hono';
 *
 * const app = new Hono();
 * app.use('/files/*', fileLock({ name: (c) => `file:${c.req.raw.url}`, waitMs: 2_000 }));
 * ```
 */
export function fileLock<Context extends HonoContext = HonoContext>(
  nameOrOptions?: NameOption<Context> | HonoLockOptions<Context>,
  options?: Omit<HonoLockOptions<Context>, keyof TargetOptions<never>>,
): (c: Context, next: () => Promise<void>) => Promise<Response | undefined>;
export function fileLock(nameOrOptions?: unknown, options?: unknown) {
  const config = readForm<HonoContext, OnBusy<HonoContext>>(OWNER, nameOrOptions, options);
  const admit = makeGuard(OWNER, config);
  const answerTo = busyAnswers(config);

  return async function fileLockMiddleware(c: HonoContext, next: () => Promise<void>): Promise<Response | undefined> {
    const request = c.req.raw;
    const exchange = exchangeOf(request, incomingOf(c));
    const admission = await admit(c, exchange);
    if (admission === 'skipped') {
      await next();
      return undefined;
    }
    if (admission === 'left') return new Response(null, { status: 499 }); // nobody reads it
    if (admission instanceof Busy) {
      if (config.onBusy !== undefined) return config.onBusy(c, { name: admission.name });
      const { status, headers, body } = answerTo(request.headers.get('accept') ?? undefined);
      return new Response(request.method === 'HEAD' ? null : body, { status, headers });
    }
    c.set('lock', admission.hold);
    admission.enter(); // once for the work, and once for the answer, whose body may be made later
    exchange.enter();
    admission.untilAnswered();
    exchange.exit();
    try {
      await admission.during(next());
    } catch (error) {
      exchange.failed();
      throw error;
    }
    const answer = await exchange.answer(c.res);
    if (answer !== c.res) {
      c.res = undefined as unknown as Response; // else Hono would merge the two
      c.res = answer;
    }
    return undefined;
  };
}

/** What `@hono/node-server` has made the request from; with HTTP/2 it does not tell how much its client has sent. */
function incomingOf({ env }: HonoContext): IncomingMessage | undefined {
  const { incoming } = (env ?? {}) as { incoming?: IncomingMessage };
  return incoming?.httpVersionMajor === 1 ? incoming : undefined;
}
