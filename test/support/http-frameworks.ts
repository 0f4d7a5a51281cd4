// The four ways to run handlers one after another that the HTTP forms have to fit: each makes a request listener.

import { createRequire } from 'node:module';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

import connect from 'connect';
import express from 'express';

import type { Held } from '../../src/hold.js';

const express4 = createRequire(import.meta.url)('express4') as typeof express;

/** Any handler or middleware: `lock` is there where one was taken. */
export type Handler = (
  req: IncomingMessage & { lock: Held },
  res: ServerResponse,
  next: (error?: unknown) => unknown,
) => unknown;

/** Makes a listener that runs the handlers in this order; its error handler answers with the error's message. */
export type Framework = (...handlers: readonly Handler[]) => RequestListener;

function expressApp(framework: typeof express, handlers: readonly Handler[]): RequestListener {
  const app = framework();
  for (const handler of handlers) app.use(handler as express.RequestHandler);
  const answerError: express.ErrorRequestHandler = (error, _req, res, next) => {
    if (res.headersSent) next(error);
    else answer(error, res);
  };
  return app.use(answerError) as RequestListener;
}

function connectApp(handlers: readonly Handler[]): RequestListener {
  const app = connect();
  for (const handler of handlers) app.use(handler as connect.NextHandleFunction);
  return app.use((error: unknown, _req: IncomingMessage, res: ServerResponse, next: connect.NextFunction) => {
    if (res.headersSent) next(error);
    else answer(error, res);
  });
}

/** What a careful author writes by hand: errors and rejections of all handlers come to one place. */
function plainListener(handlers: readonly Handler[]): RequestListener {
  const run = (index: number, req: IncomingMessage, res: ServerResponse): unknown =>
    handlers[index]?.(req as IncomingMessage & { lock: Held }, res, (error) => {
      if (error) throw error;
      return run(index + 1, req, res);
    });
  return (req, res) => {
    void Promise.resolve()
      .then(() => run(0, req, res))
      .catch((error: unknown) => (res.headersSent ? res.destroy() : answer(error, res)));
  };
}

function answer(error: unknown, res: ServerResponse): void {
  res.statusCode = (error as { status?: number }).status ?? 500;
  res.end(`error handler: ${(error as Error).message}`);
}

export const express5App: Framework = (...handlers) => expressApp(express, handlers);

/** Each framework with whether it notices that a handler's promise rejects. */
export const frameworks: readonly { name: string; app: Framework; awaitsHandlers: boolean }[] = [
  { name: 'Express 5', app: express5App, awaitsHandlers: true },
  { name: 'Express 4', app: (...handlers) => expressApp(express4, handlers), awaitsHandlers: false },
  { name: 'Connect', app: (...handlers) => connectApp(handlers), awaitsHandlers: false },
  { name: 'node:http', app: (...handlers) => plainListener(handlers), awaitsHandlers: true },
];
