/**
 * A plugin that gives routes a lock, by a preHandler hook or by their config.
 *
 * @module semlock/fastify
 */

import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify';

import type { Held } from '../../hold.js';
import { busyAnswers } from '../core/busy-answer.js';
import { Busy, makeGuard, type Admission } from '../core/guard.js';
import {
  isThenable,
  readForm,
  type BusyInfo as AnyBusyInfo,
  type FormOptions,
  type NameOption,
  type TargetOptions,
} from '../core/options.js';
import { exchangeOf } from '../node/exchange.js';

const OWNER = 'app.fileLock()';

/** What {@link FastifyLockOptions.onBusy} is told. */
export interface BusyInfo extends AnyBusyInfo {
  readonly reply: FastifyReply;
}

type OnBusy = (request: FastifyRequest, info: BusyInfo) => unknown;

/** Options of `app.fileLock()`; callbacks are given the request, and `onBusy` answers with `info.reply`. */
export type FastifyLockOptions = FormOptions<FastifyRequest, OnBusy>;

declare module 'fastify' {
  interface FastifyInstance {
    /** A `preHandler` hook that holds a lock until the answer is given: see `semlock/fastify`. */
    fileLock(
      name?: NameOption<FastifyRequest>,
      options?: Omit<FastifyLockOptions, keyof TargetOptions<never>>,
    ): preHandlerHookHandler;
    fileLock(options: FastifyLockOptions): preHandlerHookHandler;
  }
  interface FastifyRequest {
    /** What this request holds: of several locks, the one taken last. */
    lock: Held | null;
  }
  interface FastifyContextConfig {
    /** The lock of this route: its name, or the options of `app.fileLock()`. */
    lock?: NameOption<FastifyRequest> | FastifyLockOptions;
  }
}

/** Makes the hook. The plugin's own options stand for those that are not given. */
function lockHook(
  defaults: FastifyLockOptions,
  nameOrOptions?: NameOption<FastifyRequest> | FastifyLockOptions,
  options?: FastifyLockOptions,
): preHandlerHookHandler {
  const config = readForm<FastifyRequest, OnBusy>(OWNER, nameOrOptions, options, defaults);
  const admit = makeGuard(OWNER, config);
  const answerTo = busyAnswers(config);
  const { onBusy } = config;

  return function holdLock(request, reply, done) {
    let admission: Admission | Promise<Admission>;
    try {
      admission = admit(request, exchangeOf(request.raw, reply.raw));
    } catch (error) {
      done(error as Error);
      return;
    }
    if (!isThenable(admission)) goOn(request, reply, done, admission);
    else admission.then((admitted) => goOn(request, reply, done, admitted), done);
  };

  function goOn(
    request: FastifyRequest,
    reply: FastifyReply,
    done: (error?: Error) => void,
    admission: Admission,
  ): void {
    if (admission === 'left') {
      reply.hijack(); // nobody is there who could be answered
      reply.raw.destroy();
    } else if (admission === 'skipped') {
      done();
    } else if (admission instanceof Busy) {
      refuse(request, reply, done, admission.name);
    } else {
      request.lock = admission.hold;
      admission.exchange.enter();
      try {
        done(); // the handler, or the next hook; what it throws or rejects with is Fastify's, whose error handler answers
        admission.untilAnswered();
      } finally {
        admission.exchange.exit();
      }
    }
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void, name: string): void {
    if (onBusy !== undefined) {
      Promise.resolve()
        .then(() => onBusy(request, { name, reply }))
        .catch(done);
      return;
    }
    const { status, headers, body } = answerTo(request.headers.accept);
    reply.code(status).headers(headers).send(body);
  }
}

/**
 * The plugin. Its options are the defaults of `app.fileLock()`, and of the routes that have a lock in their `config`.
 *
 * A lock is held from the hook until the answer is given; a request that finds it held elsewhere is answered 503 `busy`,
 * after `waitMs`. It is `fileLock()` of Express in all else; `request.lock` is what the request holds.
 *
 * @example
 * ```ts
 * import fastify from 'fastify';
 * import { lockPlugin } from 'semlock/fastify';
 *
 * const app = fastify();
 * await app.register(lockPlugin, { namespace: 'shop' });
 * app.put('/files', { preHandler: app.fileLock({ name: (request) => `file:${request.url}` }) }, () => rewrite(file));
 * app.post('/report', { config: { lock: 'report' } }, () => rewriteReport());
 * ```
 */
export function lockPlugin(app: FastifyInstance, defaults: FastifyLockOptions, done: (error?: Error) => void): void {
  app.decorateRequest('lock', null);
  app.decorate(
    'fileLock',
    (nameOrOptions?: NameOption<FastifyRequest> | FastifyLockOptions, options?: FastifyLockOptions) =>
      lockHook(defaults, nameOrOptions, options),
  );
  app.addHook('onRoute', (route) => {
    const lock = route.config?.lock;
    if (lock === undefined) return;
    const others = route.preHandler === undefined ? [] : [route.preHandler].flat();
    route.preHandler = [lockHook(defaults, lock), ...others];
  });
  done();
}

// As fastify-plugin marks it: for the app that registers it, and not only for a part of that.
Object.assign(lockPlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'semlock',
  [Symbol.for('plugin-meta')]: { fastify: '5.x', name: 'semlock' },
});
