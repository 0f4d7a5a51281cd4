// A cluster that answers in several ways under one lock of all workers; `/dies` kills the worker that has it, and `/told`
// answers whether the holder before died. Usage: node cluster.mjs <framework>; prints the port when all workers listen, and
// `gone` when it knows that one is; ends on SIGTERM. The framework `late` is none: it frees its lock after the answer.

import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';

import { getRequestListener } from '@hono/node-server';
import { Controller, Get, Header, HttpCode, Redirect, Req, StreamableFile } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { fileLock, Lock } from 'semlock';
import { lockPlugin } from 'semlock/fastify';
import { locked } from 'semlock/fetch';
import { fileLock as honoFileLock } from 'semlock/hono';
import { fileLock as koaFileLock } from 'semlock/koa';
import { FileLocked, LockModule } from 'semlock/nest';

const WORKERS = 3;

async function* pieces() {
  yield 'do';
  await turn();
  yield 'ne';
}
const stream = () => Readable.from(pieces());
const body = () => Readable.toWeb(stream()).pipeThrough(new TextEncoderStream());

const large = 'x'.repeat(200_000);

const die = () => process.kill(process.pid, 'SIGKILL');
const told = (lock) => String(lock?.abandoned);

const asResponse = async (path, lock) => {
  await turn();
  if (path === '/dies') die();
  if (path === '/told') return new Response(told(lock));
  if (path === '/stream') return new Response(body());
  if (path === '/length') return new Response(body(), { headers: { 'Content-Length': '4' } });
  if (path === '/large') return new Response(large);
  if (path === '/redirect') return new Response(null, { status: 303, headers: { Location: '/text' } });
  return path === '/empty' ? new Response(null, { status: 204 }) : new Response('done');
};

async function nest(adapter) {
  class Answers {
    async text() {
      await turn();
      return 'done';
    }
    async stream() {
      await turn();
      return new StreamableFile(Readable.from(pieces(), { objectMode: false }));
    }
    async length() {
      return this.stream();
    }
    async empty() {
      await turn();
    }
    async large() {
      await turn();
      return large;
    }
    async redirect() {
      await turn();
    }
    async dies() {
      await turn();
      die();
    }
    async told(request) {
      return told(request.lock);
    }
  }
  Req()(Answers.prototype, 'told', 0);
  FileLocked('answers')(Answers);
  Controller()(Answers);
  const others = {
    length: [Header('Content-Length', '4')],
    empty: [HttpCode(204)],
    redirect: [Redirect('/text', 303)],
  };
  for (const way of ['text', 'stream', 'length', 'empty', 'large', 'redirect', 'dies', 'told']) {
    const descriptor = Object.getOwnPropertyDescriptor(Answers.prototype, way);
    for (const decorator of [Get(way), ...(others[way] ?? [])]) decorator(Answers.prototype, way, descriptor);
  }
  const module = { module: class {}, imports: [LockModule.forRoot()], controllers: [Answers] };
  const app = await NestFactory.create(module, adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
}

const frameworks = {
  async express() {
    const app = express();
    app.use(fileLock('answers'));
    app.get('/dies', async () => {
      await turn();
      die();
    });
    app.get('/told', (req, res) => res.send(told(req.lock)));
    app.listen(0, '127.0.0.1');
  },
  async fastify() {
    const app = fastify();
    await app.register(lockPlugin);
    const answers = {
      '/text': (reply) => reply.send('done'),
      '/stream': (reply) => reply.send(stream()),
      '/length': (reply) => reply.header('Content-Length', 4).send(stream()),
      '/empty': (reply) => reply.code(204).send(),
      '/large': (reply) => reply.send(large),
      '/redirect': (reply) => reply.redirect('/text', 303),
      '/dies': die,
      '/told': (reply) => reply.send(told(reply.request.lock)),
    };
    for (const [path, answer] of Object.entries(answers)) {
      app.get(path, { config: { lock: 'answers' } }, async (_request, reply) => {
        await turn();
        return answer(reply);
      });
    }
    await app.listen({ port: 0, host: '127.0.0.1' });
  },
  async koa() {
    const app = new Koa();
    app.use(koaFileLock('answers'));
    app.use(async (ctx) => {
      await turn();
      if (ctx.path === '/dies') die();
      if (ctx.path === '/told') ctx.body = told(ctx.lock);
      else if (ctx.path === '/empty') ctx.status = 204;
      else if (ctx.path === '/redirect') {
        ctx.redirect('/text');
        ctx.status = 303;
      } else ctx.body = { '/text': 'done', '/large': large }[ctx.path] ?? stream();
      if (ctx.path === '/length') ctx.length = 4;
    });
    createServer(app.callback()).listen(0, '127.0.0.1');
  },
  async hono() {
    const app = new Hono();
    app.use(honoFileLock('answers'));
    app.get('*', (c) => asResponse(c.req.path, c.get('lock')));
    createServer(getRequestListener(app.fetch)).listen(0, '127.0.0.1');
  },
  async fetch() {
    const handler = locked('answers', (request) => asResponse(new URL(request.url).pathname));
    createServer(getRequestListener(handler)).listen(0, '127.0.0.1');
  },
  nestOnExpress: () => nest(new ExpressAdapter()),
  nestOnFastify: () => nest(new FastifyAdapter()),
  async late() {
    const lock = new Lock('answers');
    const listener = (_req, res) => {
      const held = lock.tryAcquire();
      res.on('finish', () => held?.release());
      res.writeHead(held === null ? 503 : 200).end();
    };
    createServer(listener).listen(0, '127.0.0.1');
  },
};

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === WORKERS) console.log(port);
  });
  cluster.on('exit', () => console.log('gone'));
  for (let started = 0; started < WORKERS; started++) cluster.fork();
  process.once('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.disconnect();
  });
} else {
  await frameworks[process.argv[2]]();
  process.once('disconnect', () => process.exit());
}
