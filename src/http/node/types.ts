// The shapes of a middleware, on node:http alone, so that Express, Connect and plain servers can all take one and none
// of them is a dependency.

import type { IncomingMessage, ServerResponse } from 'node:http';

/* eslint-disable-next-line @typescript-eslint/ban-ts-comment -- There is no error to expect here. */
/** @ts-ignore -- Without the types of Express, which nobody needs to have, both are `any`. */
import type { Request, Response } from 'express';

import type { Held } from '../../hold.js';
import type { BusyInfo, GuardOptions, ModeOption, NameOption, TargetOptions } from '../core/options.js';

/**
 * The request that callbacks are given, unless they say otherwise: route methods of Express infer nothing here. Its
 * route parameters are strings, as all are but those of wildcards in Express 5, which are arrays.
 */
export type DefaultRequest = Request<Record<string, string>>;
/** The response that callbacks are given, unless they say otherwise. */
export type DefaultResponse = Response;

/** Goes on to the next handler, or to the error handler when it is given an error. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- As Express and Connect declare it.
export type Next = (error?: any) => unknown;

/**
 * A middleware of Express 4, Express 5 or Connect. Plain `node:http` code calls it with a `next` of its own, and is
 * returned what that returns; frameworks whose `next` returns nothing are returned nothing.
 */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: Next) => void | Promise<void>;

/**
 * The name of a lock: one for all requests, or a function that makes it from the request. What a wildcard of Express 5
 * matched, as in `/*path`, is an array there, and no name: join it.
 */
export type LockName<Req extends IncomingMessage = DefaultRequest> = NameOption<Req>;

/** How a lock is taken: alike for all requests, or as a function says of each. */
export type LockModeOption<Req extends IncomingMessage = DefaultRequest> = ModeOption<Req>;

/** An answer of the app's own to a request whose lock is held elsewhere. */
export type OnBusy<Req extends IncomingMessage = DefaultRequest, Res extends ServerResponse = DefaultResponse> = (
  req: Req,
  res: Res,
  next: Next,
  info: BusyInfo,
) => unknown;

/** Options of `fileLock()` and `locked()`, beside what is locked. */
export interface HttpLockOptions<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
> extends GuardOptions<Req> {
  /** Answers instead, when the lock is held elsewhere; what it throws or rejects with goes to `next`. */
  onBusy?: OnBusy<Req, Res>;
}

/** Options of `fileLock()` and `locked()`. */
export interface FileLockOptions<
  Req extends IncomingMessage = DefaultRequest,
  Res extends ServerResponse = DefaultResponse,
>
  extends HttpLockOptions<Req, Res>, TargetOptions<Req> {}

/** The request of a handler that runs under a lock. Express's own `Request` has a `lock` of this type. */
export type LockedRequest<Req extends IncomingMessage = DefaultRequest> = Req & {
  /** What this request holds: of several locks, the one taken last; by the option `files`, all of them as one. */
  lock: Held;
};

/** A request that may hold a lock. */
export type LockableRequest = IncomingMessage & { lock?: Held };

declare global {
  // Merges into the types of Express where they are installed; not a dependency on them.
  // eslint-disable-next-line @typescript-eslint/no-namespace -- The one way that Express offers.
  namespace Express {
    interface Request {
      /**
       * What this request holds, set by semlock's `fileLock()` and `locked()`. As `session` and its like, it is there for
       * TypeScript in every handler, because Express has no way to say which middleware stands before it.
       */
      lock: Held;
    }
  }
}
