// A client that stops sending its body while the handler waits for it is disconnected, where the lock is taken before
// the body is read and the framework tells what the server was given.

import type { RequestListener } from 'node:http';
import { text } from 'node:stream/consumers';

import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import Koa from 'koa';
import { describe, expect, it } from 'vitest';

import { fileLock as honoFileLock } from '../../../src/http/hono/index.js';
import { fileLock as koaFileLock } from '../../../src/http/koa/index.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const STALL_MS = 500;

type Options = { namespace: string; stallMs: number };
type Read = (body: () => Promise<string>) => Promise<string>;

const frameworks: { name: string; app: (options: Options, read: Read) => RequestListener }[] = [
  {
    name: 'Hono',
    app(options, read) {
      const app = new Hono();
      app.use(honoFileLock(options));
      app.put('/', async (c) => c.text(await read(() => c.req.text())));
      app.put('/stream', async (c) => c.text(await read(() => new Response(c.req.raw.body).text())));
      app.onError((_error, c) => c.text('error', 500));
      return getRequestListener(app.fetch) as RequestListener;
    },
  },
  {
    name: 'Koa',
    app(options, read) {
      const app = new Koa();
      app.silent = true;
      app.use(koaFileLock(options));
      app.use(async (ctx) => (ctx.body = await read(() => text(ctx.req))));
      return app.callback() as RequestListener;
    },
  },
];

describe.each(frameworks)('In $name', ({ app }) => {
  /** A client that has sent half of its body. */
  async function begin(path: string, read: Read, stallMs = STALL_MS) {
    const namespace = scratchNamespace();
    const lock = new Lock('default', { namespace });
    const begun = deferred();
    const working: Read = (body) => {
      begun.resolve();
      return read(body);
    };
    const port = await listen(app({ namespace, stallMs }, working));
    const client = new RawClient(port).request('PUT', path, { 'Content-Length': '8' }, 'half');
    await begun.promise;
    return { client, isHeld: () => lock.tryAcquire()?.release() === undefined };
  }

  it.each(['/', '/stream'])(
    'a client that stops sending its body is disconnected, and the lock is free: %s',
    async (path) => {
      const { client, isHeld } = await begin(path, (body) => body());
      expect(isHeld()).toBe(true);
      await expect.poll(() => client.socket.destroyed, { timeout: 15_000 }).toBe(true);
      await expect.poll(isHeld, { timeout: 15_000 }).toBe(false);
    },
  );

  it('a client whose body nobody reads is not', async () => {
    const end = deferred();
    const { client, isHeld } = await begin('/', () => end.promise.then(() => 'done'));
    await new Promise((resolve) => setTimeout(resolve, 3 * STALL_MS));
    expect([client.socket.destroyed, isHeld()]).toEqual([false, true]);
    end.resolve();
    await expect.poll(() => client.received).toContain('done');
  });
});
