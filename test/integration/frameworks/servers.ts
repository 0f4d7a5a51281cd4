// One app in each framework: a handler behind a lock, on a real server.

import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { getRequestListener } from '@hono/node-server';
import { Controller, Get, Req, StreamableFile } from '@nestjs/common';
import { NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { onTestFinished } from 'vitest';

import type { Held } from '../../../src/hold.js';
import { lockPlugin } from '../../../src/http/fastify/index.js';
import { locked } from '../../../src/http/fetch/index.js';
import { fileLock as honoFileLock } from '../../../src/http/hono/index.js';
import { fileLock as koaFileLock } from '../../../src/http/koa/index.js';
import { fileLock } from '../../../src/http/node/file-lock.js';
import { FileLocked as nestFileLocked, LockModule } from '../../../src/nest/index.js';
import type { LockStore } from '../../../src/store.js';
import { decorate } from '../../support/decorate.js';

/** What all frameworks' options have in common here: the callbacks look at the URL alone. */
export interface Options {
  readonly namespace?: string;
  readonly store?: LockStore;
  readonly name?: string | ((url: string) => string);
  readonly file?: (url: string) => string;
  readonly files?: (url: string) => readonly string[];
  readonly waitMs?: number;
  readonly stallMs?: number;
  readonly skip?: (url: string) => boolean;
}

/** What the handler answers: a text, or the pieces of one. `lock` is what the request holds, where that is told. */
export type Work = (url: string, lock: Held | undefined) => Promise<string | AsyncIterable<string>>;

export interface Framework {
  readonly name: string;
  /** Starts a server whose requests meet the lock so many times; gives its address. */
  serve(options: Options, work: Work, times?: number): Promise<string>;
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
function callbacks<T>({ name, file, files, skip, ...rest }: Options, urlOf: (context: T) => string) {
  return {
    ...rest,
    name: typeof name === 'function' ? (context: T) => name(urlOf(context)) : name,
    file: file && ((context: T) => file(urlOf(context))),
    files: files && ((context: T) => files(urlOf(context))),
    skip: skip && ((context: T) => skip(urlOf(context))),
  };
}

const repeat = <T>(times: number, what: T): T[] => Array.from({ length: times }, () => what);

/** What error handlers answer. */
const failed = (error: Error) => new Response('error', { status: (error as { status?: number }).status ?? 500 });

function asResponse(answer: string | AsyncIterable<string>): Response {
  if (typeof answer === 'string') return new Response(answer);
  return new Response(Readable.toWeb(Readable.from(answer, { encoding: 'utf8' })).pipeThrough(new TextEncoderStream()));
}

export const frameworks: readonly Framework[] = [
  {
    name: 'Express',
    serve(options, work, times = 1) {
      const app = express();
      const guard = fileLock(callbacks(options, (req: IncomingMessage) => req.url!));
      app.use(...(repeat(times, guard) as [typeof guard]));
      app.get('*path', async (req, res) => {
        const answer = await work(req.url, req.lock);
        if (typeof answer === 'string') res.send(answer);
        else await pipeline(Readable.from(answer), res).catch(() => undefined); // the client may leave
      });
      const quiet: express.ErrorRequestHandler = (error: { status?: number }, _req, res, _next) =>
        void res.sendStatus(error.status ?? 500);
      return listen(app.use(quiet) as RequestListener);
    },
  },
  {
    name: 'Fastify',
    async serve(options, work, times = 1) {
      const app = fastify({ forceCloseConnections: true });
      await app.register(lockPlugin, { namespace: options.namespace });
      const preHandler = app.fileLock(callbacks(options, (request: { url: string }) => request.url));
      app.get('*', { preHandler: repeat(times, preHandler) }, async (request, reply) => {
        const answer = await work(request.url, request.lock ?? undefined);
        return reply.send(typeof answer === 'string' ? answer : Readable.from(answer));
      });
      onTestFinished(() => app.close());
      return app.listen({ port: 0, host: '127.0.0.1' });
    },
  },
  {
    name: 'Koa',
    serve(options, work, times = 1) {
      const app = new Koa();
      app.silent = true;
      const guard = koaFileLock(callbacks(options, (ctx: Koa.Context) => ctx.url));
      for (const each of repeat(times, guard)) app.use(each);
      app.use(async (ctx) => {
        const answer = await work(ctx.url, (ctx as { lock?: Held }).lock);
        ctx.body = typeof answer === 'string' ? answer : Readable.from(answer);
      });
      return listen(app.callback() as RequestListener);
    },
  },
  {
    name: 'Hono',
    serve(options, work, times = 1) {
      const app = new Hono<{ Variables: { lock: Held } }>();
      const pathOf = (c: { req: { raw: Request } }) => new URL(c.req.raw.url).pathname;
      for (const guard of repeat(times, honoFileLock(callbacks(options, pathOf)))) app.use(guard as never);
      app.get('*', async (c) => asResponse(await work(c.req.path, c.get('lock') as Held | undefined)));
      app.onError(failed);
      return listen(getRequestListener(app.fetch) as RequestListener);
    },
  },
  {
    name: 'fetch',
    serve(options, work, times = 1) {
      const pathOf = (request: Request) => new URL(request.url).pathname;
      const given = callbacks(options, pathOf);
      if ((given.file ?? given.files) === undefined) given.name ??= 'default';
      let handler = async (request: Request) => asResponse(await work(pathOf(request), undefined));
      for (let left = times; left > 0; left -= 1) handler = locked(given, handler);
      const answerErrors = (request: Request) => handler(request).catch(failed);
      return listen(getRequestListener(answerErrors) as RequestListener);
    },
  },
  ...[
    { name: 'NestJS on Express', all: ['/', '*path'], adapter: () => new ExpressAdapter() },
    { name: 'NestJS on Fastify', all: '*', adapter: () => new FastifyAdapter({ forceCloseConnections: true }) },
  ].map(({ name, all, adapter }): Framework => ({
    name,
    async serve(options, work, times = 1) {
      class Controllers {
        async answer(request: { url: string; lock?: Held }) {
          const answer = await work(request.url, request.lock);
          return typeof answer === 'string' ? answer : new StreamableFile(Readable.from(answer, { objectMode: false }));
        }
      }
      const given = callbacks(options, (request: { url: string }) => request.url);
      decorate(Controllers, 'answer', [Get(all), ...repeat(times, nestFileLocked(given))], [Req()]);
      Controller()(Controllers);
      const module = { module: class App {}, imports: [LockModule.forRoot()], controllers: [Controllers] };
      const app = await NestFactory.create(module, adapter() as AbstractHttpAdapter, { logger: false });
      onTestFinished(() => app.close());
      await app.listen(0, '127.0.0.1');
      return (await app.getUrl()).replace('[::1]', '127.0.0.1');
    },
  })),
];
