// fileLock() for controllers of NestJS, as an interceptor: it knows the request whatever arguments a method takes, and
// leaves the answer to NestJS.

import type { ServerResponse } from 'node:http';

import type { CallHandler, ExecutionContext } from '@nestjs/common';

import { Busy, makeGuard } from '../http/core/guard.js';
import {
  readForm,
  type BusyInfo,
  type FormOptions,
  type NameOption,
  type TargetOptions,
} from '../http/core/options.js';
import { busyResponder } from '../http/node/busy-response.js';
import { exchangeOf } from '../http/node/exchange.js';
import type { DefaultRequest, LockableRequest } from '../http/node/types.js';
import { LockService } from './lock-service.js';
import { injectFirst, useInterceptor } from './metadata.js';

const OWNER = '@FileLocked()';

/** Answers in place of the method: by what it returns, or by the exception that it throws. */
export type OnBusy = (context: ExecutionContext, info: BusyInfo) => unknown;

/** Options of {@link FileLocked}; all callbacks except `onBusy` are given the request of Express, or that of Fastify. */
export type NestLockOptions<Request = DefaultRequest> = FormOptions<Request, OnBusy>;

/** A request or response of Express, or one of Fastify, which has that of Node.js in it. */
type MaybeRaw<T> = T & { readonly raw?: T };

/**
 * On a method of a controller, or on the whole of it: each request holds a lock until it is answered. One that finds it held
 * elsewhere is answered 503 `busy`, after `waitMs`; throw an exception in `onBusy` for another answer. It is `fileLock()` of
 * Express in all else; `request.lock` is what the request holds.
 *
 * It needs `LockModule`, which gives the namespace, the store and the options that are not given here.
 *
 * @throws `SemlockError` `ERR_SEMLOCK_NAME` or `ERR_SEMLOCK_OPTION`, at definition.
 *
 * @example
 * ```ts
 * import { basename } from 'node:path';
 * import { Controller, Param, Put } from '@nestjs/common';
 * import { FileLocked } from 'semlock/nest';
 *
 * @Controller('files')
 * class Files {
 *   @FileLocked({ file: (req) => `data/${basename(req.params.name)}` })
 *   @Put(':name')
 *   async write(@Param('name') name: string) { … }
 * }
 * ```
 */
export function FileLocked<Request = DefaultRequest>(
  name?: NameOption<Request>,
  options?: Omit<NestLockOptions<Request>, keyof TargetOptions<never>>,
): ClassDecorator & MethodDecorator;
export function FileLocked<Request = DefaultRequest>(
  options: NestLockOptions<Request>,
): ClassDecorator & MethodDecorator;
export function FileLocked(nameOrOptions?: unknown, options?: unknown) {
  readForm(OWNER, nameOrOptions, options); // so that what is wrong is refused here

  /** A class of its own for each place, because NestJS makes one object of a class. */
  class FileLockInterceptor {
    readonly intercept: (context: ExecutionContext, next: CallHandler) => Promise<unknown>;

    constructor(service: LockService) {
      this.intercept = interceptor(nameOrOptions, options, service);
    }
  }
  injectFirst(LockService, FileLockInterceptor);

  return (target: object, _key?: string | symbol, descriptor?: PropertyDescriptor): void => {
    useInterceptor(FileLockInterceptor, (descriptor?.value ?? target) as object);
  };
}

function interceptor(nameOrOptions: unknown, options: unknown, service: LockService) {
  const config = readForm<unknown, OnBusy>(OWNER, nameOrOptions, options, service.options);
  const admit = makeGuard<unknown>(OWNER, config);
  const answerBusy = busyResponder(config);

  return async (context: ExecutionContext, next: CallHandler): Promise<unknown> => {
    if (context.getType() !== 'http') {
      throw new TypeError(`${OWNER} is for requests of HTTP, and this is ${context.getType()}: take @Locked()`);
    }
    const http = context.switchToHttp();
    const request = http.getRequest<MaybeRaw<LockableRequest>>();
    const response = http.getResponse<MaybeRaw<ServerResponse> & { hijack?(): void }>();
    const [req, res] = [request.raw ?? request, response.raw ?? response];
    const admission = await admit(request, exchangeOf(req, res));
    if (admission === 'skipped') return next.handle();
    if (admission === 'left') return ANSWERED;
    if (admission instanceof Busy) {
      if (config.onBusy !== undefined) return [await config.onBusy(context, { name: admission.name })];
      response.hijack?.();
      answerBusy(req, res);
      return ANSWERED;
    }
    request.lock = admission.hold;
    admission.exchange.enter();
    try {
      return next.handle();
    } finally {
      admission.untilAnswered();
      admission.exchange.exit();
    }
  };
}

/** What NestJS takes for a result of which nothing is to be sent; a list is to RxJS what it emits. */
const ANSWERED = [undefined];
