// What apps have before, behind and around a lock: it is held while the handler works, and free with the answer.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import bodyParser from 'body-parser';
import busboy from 'busboy';
import compression from 'compression';
import timeout from 'connect-timeout';
import express, { type RequestHandler } from 'express';
import session from 'express-session';
import fastify from 'fastify';
import httpProxy from 'http-proxy';
import multer from 'multer';
import { createMocks } from 'node-mocks-http';
import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';

import { lockPlugin } from '../../../src/http/fastify/index.js';
import { fileLock } from '../../../src/http/node/file-lock.js';
import { Lock } from '../../../src/lock.js';
import { listen } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;
const guard = fileLock('file', { namespace }) as RequestHandler;

const large = 'x'.repeat(100_000);
const answer = (text: string): RequestHandler => {
  return async (_req, res) => {
    await sleep(2);
    res.send(isHeld() ? text : 'free too early');
  };
};
const readByBusboy: RequestHandler = (req, res) => {
  let length = 0;
  const parser = busboy({ headers: req.headers });
  parser.on('file', (_name, file) => file.on('data', (chunk: Buffer) => (length += chunk.length)));
  parser.on('close', () => res.send(isHeld() ? String(length) : 'free too early'));
  req.pipe(parser);
};
const sessions = session({ secret: 'secret', resave: true, saveUninitialized: true });

const stacks: Record<string, { handlers: RequestHandler[]; text: string; upload?: string }> = {
  'compression above it': { handlers: [compression(), guard, answer(large)], text: large },
  'compression below it': { handlers: [guard, compression(), answer(large)], text: large },
  'a session above it': { handlers: [sessions, guard, answer('done')], text: 'done' },
  'a session below it': { handlers: [guard, sessions, answer('done')], text: 'done' },
  'body-parser above it': {
    handlers: [bodyParser.raw({ type: '*/*' }), guard, answer('done')],
    text: 'done',
    upload: large,
  },
  'body-parser below it': {
    handlers: [guard, bodyParser.raw({ type: '*/*' }), answer('done')],
    text: 'done',
    upload: large,
  },
  'multer above it': { handlers: [multer().any(), guard, answer('done')], text: 'done', upload: large },
  'multer below it': { handlers: [guard, multer().any(), answer('done')], text: 'done', upload: large },
  'busboy behind it': { handlers: [guard, readByBusboy], text: '100000', upload: large },
  'a timeout above it': { handlers: [timeout('5s'), guard, answer('done')], text: 'done' },
};

describe('A lock with', () => {
  it.each(Object.entries(stacks))('%s is held for the handler, and free with the answer', async (_what, stack) => {
    const app = express().use(...(stack.handlers as [RequestHandler]));
    const port = await listen(app as RequestListener);
    for (let times = 0; times < 20; times += 1) {
      const sent = request(`http://127.0.0.1:${port}`).post('/');
      const { text, status } = await (stack.upload === undefined
        ? sent
        : sent.attach('file', Buffer.from(large), 'a.txt'));
      expect([status, text]).toEqual([200, stack.text]);
      expect(isHeld()).toBe(false);
    }
  });

  it('a timeout above it that passes meanwhile is kept until the handler is done', async () => {
    let goOn!: () => void;
    const working = new Promise<void>((resolve) => (goOn = resolve));
    const app = express();
    app.use(timeout('30ms', { respond: false }), guard, async (_req, res) => {
      await working;
      res.send('late');
    });
    const sent = request(app)
      .get('/')
      .then(({ text }) => text); // sends it
    await sleep(100);
    expect(isHeld()).toBe(true);
    goOn();
    expect(await sent).toBe('late');
    expect(isHeld()).toBe(false);
  });

  it('a proxy behind it is held until the answer of the other server has passed', async () => {
    const target = await listen((_req, res) => void setTimeout(() => res.end(isHeld() ? large : 'free too early'), 5));
    const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${target}` });
    onTestFinished(() => proxy.close());
    const app = express().use(guard, (req, res) => proxy.web(req, res));
    const port = await listen(app as RequestListener);
    for (let times = 0; times < 20; times += 1) {
      expect((await request(`http://127.0.0.1:${port}`).get('/')).text).toBe(large);
      expect(isHeld()).toBe(false);
    }
  });

  it('a proxy behind it, whose other server is gone, is free with the error', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as { port: number };
    await new Promise((resolve) => gone.close(resolve));
    const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${port}` });
    onTestFinished(() => proxy.close());
    const app = express().use(guard, (req, res) => proxy.web(req, res, {}, () => void res.sendStatus(502)));
    await request(app).get('/').expect(502);
    expect(isHeld()).toBe(false);
  });
});

describe('Without a connection', () => {
  it("Fastify's inject() holds it for the handler, and finds it free afterwards", async () => {
    const app = fastify();
    await app.register(lockPlugin, { namespace });
    app.get('/', { config: { lock: 'file' } }, () => (isHeld() ? 'done' : 'free too early'));
    for (let times = 0; times < 3; times += 1) {
      expect((await app.inject('/')).body).toBe('done');
      expect(isHeld()).toBe(false);
    }
  });

  it('node-mocks-http does, too', async () => {
    const { req, res } = createMocks();
    let held = false;
    void guard(req as never, res as never, () => {
      held = isHeld();
      (res as unknown as ServerResponse).end('done');
    });
    expect(held).toBe(true);
    await expect.poll(isHeld).toBe(false);
    expect((req as unknown as IncomingMessage & { lock: { released: boolean } }).lock.released).toBe(true);
  });
});
