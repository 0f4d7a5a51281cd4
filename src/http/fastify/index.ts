// semlock/fastify: a plugin that gives routes a lock, by a preHandler hook or by their config.

import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify';

import { readArguments } from '../core/arguments.js';
import { busyAnswers } from '../core/busy-answer.js';
import { formParser, type FormOptions } from '../core/form-options.js';
import { Busy, isThenable, makeGuard, type Admission, type NameOption } from '../core/guard.js';
import type { Held } from '../core/locks.js';
import { exchangeOf } from '../node/exchange.js';

const OWNER = 'app.fileLock()';

/** What {@link FastifyLockOptions.onBusy} is told. */
export interface BusyInfo {
  /** The name of the lock that is held elsewhere. */
  readonly name: string;
  readonly reply: FastifyReply;
}

/** Options of `app.fileLock()`; callbacks are given the request. */
export interface FastifyLockOptions extends Omit<FormOptions<FastifyRequest>, 'onBusy'> {
  /** Answers instead, with `info.reply`, when the lock is held elsewhere. */
  onBusy?: (request: FastifyRequest, info: BusyInfo) => unknown;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** A `preHandler` hook that holds a lock until the answer is given: see `semlock/fastify`. */
    fileLock(name?: NameOption<FastifyRequest>, options?: Omit<FastifyLockOptions, 'name'>): preHandlerHookHandler;
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

const parse = formParser<FastifyRequest, unknown>();

/** Makes the hook. The plugin's own options stand for those that are not given. */
function lockHook(
  defaults: FastifyLockOptions,
  nameOrOptions?: NameOption<FastifyRequest> | FastifyLockOptions,
  options?: FastifyLockOptions,
): preHandlerHookHandler {
  const parseWithDefaults: typeof parse = (owner, given) => parse(owner, { ...defaults, ...given } as typeof given);
  const given = nameOrOptions as NameOption<FastifyRequest> | FormOptions<FastifyRequest> | undefined;
  const { name, ...config } = readArguments(OWNER, parseWithDefaults, given, options as FormOptions<FastifyRequest>);
  const admit = makeGuard<FastifyRequest>(OWNER, name, config);
  const answerTo = busyAnswers(config);
  const onBusy = config.onBusy as FastifyLockOptions['onBusy'];

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
      request.lock = admission;
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
