// One app in each framework: a handler behind a lock, on a real server.

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

import { getRequestListener } from '@hono/node-server';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { onTestFinished } from 'vitest';

import { lockPlugin } from '../../../src/http/fastify/index.js';
import { locked } from '../../../src/http/fetch/index.js';
import { fileLock as honoFileLock } from '../../../src/http/hono/index.js';
import { fileLock as koaFileLock } from '../../../src/http/koa/index.js';

/** What all frameworks' options have in common here: the callbacks look at the URL alone. */
export interface Options {
  readonly namespace: string;
  readonly name?: string | ((url: string) => string);
  readonly waitMs?: number;
  readonly skip?: (url: string) => boolean;
}

/** What the handler answers: a text, or the pieces of one. */
export type Work = (url: string, token: number | undefined) => Promise<string | AsyncIterable<string>>;

export interface Framework {
  readonly name: string;
  /** Starts a server; gives its address. */
  serve(options: Options, work: Work): Promise<string>;
}

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The options with callbacks that are given what the framework gives them. */
function callbacks<T>({ name, skip, ...rest }: Options, urlOf: (context: T) => string) {
  return {
    ...rest,
    name: typeof name === 'function' ? (context: T) => name(urlOf(context)) : name,
    skip: skip && ((context: T) => skip(urlOf(context))),
  };
}

function asResponse(answer: string | AsyncIterable<string>): Response {
  if (typeof answer === 'string') return new Response(answer);
  return new Response(Readable.toWeb(Readable.from(answer, { encoding: 'utf8' })).pipeThrough(new TextEncoderStream()));
}

export const frameworks: readonly Framework[] = [
  {
    name: 'Fastify',
    async serve(options, work) {
      const app = fastify({ forceCloseConnections: true });
      await app.register(lockPlugin, { namespace: options.namespace });
      const preHandler = app.fileLock(callbacks(options, (request: { url: string }) => request.url));
      app.get('*', { preHandler }, async (request, reply) => {
        const answer = await work(request.url, request.lock?.token);
        return reply.send(typeof answer === 'string' ? answer : Readable.from(answer));
      });
      onTestFinished(() => app.close());
      return app.listen({ port: 0, host: '127.0.0.1' });
    },
  },
  {
    name: 'Koa',
    serve(options, work) {
      const app = new Koa();
      app.silent = true;
      app.use(koaFileLock(callbacks(options, (ctx: Koa.Context) => ctx.url)));
      app.use(async (ctx) => {
        const answer = await work(ctx.url, (ctx as { lock?: { token: number } }).lock?.token);
        ctx.body = typeof answer === 'string' ? answer : Readable.from(answer);
      });
      return listen(app.callback() as RequestListener);
    },
  },
  {
    name: 'Hono',
    serve(options, work) {
      const app = new Hono<{ Variables: { lock: { token: number } } }>();
      app.use(
        honoFileLock(callbacks(options, (c: { req: { raw: Request } }) => new URL(c.req.raw.url).pathname)) as never,
      );
      app.get('*', async (c) =>
        asResponse(await work(c.req.path, (c.get('lock') as { token: number } | undefined)?.token)),
      );
      app.onError(() => new Response('error', { status: 500 }));
      return listen(getRequestListener(app.fetch) as RequestListener);
    },
  },
  {
    name: 'fetch',
    serve(options, work) {
      const pathOf = (request: Request) => new URL(request.url).pathname;
      const { name = 'default', ...rest } = callbacks(options, pathOf);
      const handler = locked(name, async (request: Request) => asResponse(await work(pathOf(request), 1)), rest);
      const answerErrors = (request: Request) => handler(request).catch(() => new Response('error', { status: 500 }));
      return listen(getRequestListener(answerErrors) as RequestListener);
    },
  },
];
