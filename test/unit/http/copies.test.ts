// A second copy of the package in the process, as a package manager or a hot reload makes one, and a clock that runs
// faster than the handlers. Both need the modules once more.

import type { Server } from 'node:http';

import request from 'supertest';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { start } from '../../integration/cli/semlock.js';
import { deferred } from '../../support/deferred.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const isHeld = (): boolean => new Lock('file', { namespace }).tryAcquire()?.release() === undefined;

async function secondCopy() {
  vi.resetModules();
  const copy = {
    ...(await import('../../../src/http/node/file-lock.js')),
    ...(await import('../../../src/http/node/locked.js')),
  };
  expect(copy.fileLock).not.toBe(fileLock);
  return copy;
}

describe('A request that meets the lock of two copies of the package', () => {
  it.each(['fileLock()', 'locked()'])('passes, and holds it until both are done: %s', async (form) => {
    const copy = await secondCopy();
    const work = deferred();
    const begun = deferred();
    const handler: Handler = async (_req, res) => {
      begun.resolve();
      await work.promise;
      res.end('done');
    };
    const first = fileLock('file', { namespace }) as Handler;
    const handlers =
      form === 'fileLock()'
        ? [first, copy.fileLock('file', { namespace }) as Handler, handler]
        : [first, copy.locked('file', handler as never, { namespace }) as Handler];
    const response = request(express5App(...handlers))
      .get('/')
      .expect(200, 'done')
      .then(() => undefined);
    await begun.promise;
    expect(isHeld()).toBe(true);

    work.resolve();
    await response;
    expect(isHeld()).toBe(false);
  });

  it('is told busy by either while another request holds it', async () => {
    const copy = await secondCopy();
    const elsewhere = new Lock('file', { namespace }).tryAcquire();
    for (const guard of [fileLock('file', { namespace }), copy.fileLock('file', { namespace })]) {
      await request(express5App(guard as Handler, (_req, res) => void res.end()))
        .get('/')
        .expect(503);
    }
    elsewhere?.release();
  });
});

it('Requests of two processes, each with a copy of its own, exclude each other', async () => {
  const other = start(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { createServer } from 'node:http';
     import { fileLock } from 'semlock';
     const guard = fileLock('file', { namespace: '${namespace}' });
     const handler = (req, res) => void process.stdin.once('data', () => res.end('done'));
     const server = createServer((req, res) => guard(req, res, () => handler(req, res)));
     server.listen(0, '127.0.0.1', () => console.log('port', server.address().port, '.'));
     process.stdin.on('end', () => process.exit());`,
  ]);
  await other.says('.');
  const there = `http://127.0.0.1:${/\d+/.exec(other.said())![0]}`;
  const [begun, work] = [deferred(), deferred()];
  const guard = fileLock('file', { namespace }) as Handler;
  const port = await listen(
    express5App(guard, async (_req, res) => {
      begun.resolve();
      await work.promise;
      res.end('done');
    }),
  );
  const here = `http://127.0.0.1:${port}`;

  const first = fetch(there);
  await expect.poll(isHeld, { timeout: 10_000 }).toBe(true);
  expect((await fetch(here)).status).toBe(503);
  other.process.stdin.write('go on');
  expect((await first).status).toBe(200);

  const second = fetch(here);
  await begun.promise;
  expect((await fetch(there)).status).toBe(503);
  work.resolve();
  expect((await second).status).toBe(200);
  expect(isHeld()).toBe(false);
});

it('A request behind one copy keeps its lock when all connections of a server are closed that the other watches', async () => {
  const copy = await secondCopy();
  const [closed, work] = [deferred(), deferred()];
  let server: Server | undefined;
  const app = express5App(
    (req, _res, next) => {
      ({ server } = req.socket as unknown as { server: Server });
      next();
    },
    (req, res, next) => {
      const handlerOf = { '/first': fileLock('first', { namespace }), '/second': copy.fileLock('file', { namespace }) };
      (handlerOf[req.url as '/first' | '/second'] as Handler)(req, res, next);
    },
    (req, res) => {
      if (req.url === '/first') return void res.end('done');
      res.on('close', closed.resolve);
      res.write('half');
      return void work.promise.then(() => res.end());
    },
  );
  const port = await listen(app);
  const [first, second] = [new RawClient(port).get('/first'), new RawClient(port)];
  await expect.poll(() => first.received).toContain('done');
  second.get('/second');
  await expect.poll(() => second.received).toContain('half');

  server!.closeAllConnections();
  await closed.promise;
  await new Promise(setImmediate);
  expect(isHeld()).toBe(true);
  work.resolve();
  await expect.poll(isHeld).toBe(false);
});

describe('A handler whose client has left', () => {
  /** The forms, with timers that take a thousandth of their time. */
  async function fastCopy() {
    const { setTimeout: slow } = globalThis;
    const fast = (call: () => void, ms: number) => slow(call, ms / 1000);
    globalThis.setTimeout = fast as never;
    onTestFinished(() => void (globalThis.setTimeout = slow));
    const copy = await secondCopy();
    globalThis.setTimeout = slow;
    return copy;
  }

  async function leaveWhileAtWork(guardOf: (handler: Handler) => Handler[]) {
    const [begun, closed, work] = [deferred(), deferred(), deferred()];
    const port = await listen(
      express5App(
        (_req, res, next) => {
          res.on('close', closed.resolve);
          return next();
        },
        ...guardOf(async (_req, res) => {
          begun.resolve();
          await work.promise;
          res.end();
        }),
      ),
    );
    const client = new RawClient(port).get();
    await begun.promise;
    client.leave();
    await closed.promise;
    return work;
  }

  it('keeps the lock beyond 30 s where its promise tells when it is done', async () => {
    const copy = await fastCopy();
    const work = await leaveWhileAtWork((handler) => [copy.locked('file', handler as never, { namespace }) as Handler]);
    await new Promise((resolve) => setTimeout(resolve, 300));

    expect(isHeld()).toBe(true);
    work.resolve();
    await expect.poll(isHeld).toBe(false);
  });

  it('loses it where the user has set a limit', async () => {
    const work = await leaveWhileAtWork((handler) => [
      locked('file', handler as never, { namespace, orphanAfterMs: 30 }) as Handler,
    ]);
    await expect.poll(isHeld).toBe(false);
    work.resolve();
  });

  it('loses it after 30 s where nothing but the response can tell', async () => {
    const copy = await fastCopy();
    const work = await leaveWhileAtWork((handler) => [copy.fileLock('file', { namespace }) as Handler, handler]);
    await expect.poll(isHeld).toBe(false);
    work.resolve();
  });
});

describe('Many locks of one request', () => {
  it('listen no more often than one', async () => {
    const counts = [await listenersOf(1), await listenersOf(30)];
    expect(counts[1]).toEqual(counts[0]);
  });

  async function listenersOf(locks: number) {
    let counts: number[] = [];
    const guards = Array.from({ length: locks }, (_each, at) => fileLock(`lock ${at}`, { namespace }) as Handler);
    const app = express5App(...guards, async (req, res) => {
      await new Promise(setImmediate);
      counts = [req, res, req.socket].map((of) =>
        of.eventNames().reduce((sum, name) => sum + of.listenerCount(name), 0),
      );
      res.end();
    });
    await request(app).get('/').expect(200);
    return counts;
  }
});
