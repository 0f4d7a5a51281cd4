/**
 * A middleware for Koa. The answer is sent when all middleware has returned, so the lock is held until then.
 *
 * @module semlock/koa
 */

import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Held } from '../../hold.js';
import { busyAnswers } from '../core/busy-answer.js';
import { Busy, makeGuard } from '../core/guard.js';
import { readForm, type FormOptions, type NameOption, type TargetOptions } from '../core/options.js';
import { exchangeOf } from '../node/exchange.js';

export type { BusyInfo } from '../core/options.js';

const OWNER = 'fileLock()';

/** What is needed of Koa's context. */
export interface KoaContext {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  status: number;
  body: unknown;
  set(headers: Record<string, string>): void;
  /** What this request holds: of several locks, the one taken last; by the option `files`, all of them as one. */
  lock?: Held;
}

/** Options of {@link fileLock}; callbacks are given the context. */
export type KoaLockOptions<Context extends KoaContext> = FormOptions<Context>;

/**
 * A middleware that holds a lock from here until the answer is given. One that finds it held elsewhere answers 503
 * `busy`, after `waitMs`. It is `fileLock()` of Express in all else; `ctx.lock` is what the request holds.
 *
 * @throws `SemlockError` `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`, at creation.
 *
 * @example
 * ```ts
 * import Koa from 'koa';
 * import { fileLock } from 'semlock/koa';
 *
 * const app = new Koa();
 * app.use(fileLock({ name: (ctx) => `file:${ctx.req.url}`, waitMs: 2_000 }));
 * ```
 */
export function fileLock<Context extends KoaContext = KoaContext>(
  nameOrOptions?: NameOption<Context> | KoaLockOptions<Context>,
  options?: Omit<KoaLockOptions<Context>, keyof TargetOptions<never>>,
): (ctx: Context, next: () => Promise<unknown>) => Promise<void>;
export function fileLock(nameOrOptions?: unknown, options?: unknown) {
  const config = readForm<KoaContext>(OWNER, nameOrOptions, options);
  const admit = makeGuard(OWNER, config);
  const answerTo = busyAnswers(config);
  const onBusy = config.onBusy ?? answerBusy;

  return async function fileLockMiddleware(ctx: KoaContext, next: () => Promise<unknown>): Promise<void> {
    const exchange = exchangeOf(ctx.req, ctx.res);
    const admission = await admit(ctx, exchange);
    if (admission === 'left') return;
    if (admission === 'skipped') {
      await next();
      return;
    }
    if (admission instanceof Busy) {
      await onBusy(ctx, { name: admission.name });
      return;
    }
    ctx.lock = admission.hold;
    admission.enter(); // once for the work, and once for the answer that follows it
    exchange.enter();
    let work: Promise<unknown>;
    try {
      work = next();
      admission.untilAnswered();
    } finally {
      exchange.exit();
    }
    try {
      await admission.during(work);
    } finally {
      // Koa sends nothing to a client that has left. Where the work has failed, the error handler answers.
      if (exchange.isOver()) admission.leaveUnanswered();
    }
  };

  function answerBusy(ctx: KoaContext): void {
    const { status, headers, body } = answerTo(ctx.req.headers.accept);
    ctx.status = status;
    ctx.set(headers);
    ctx.body = body;
  }
}
