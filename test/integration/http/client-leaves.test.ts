// A client that disconnects does not stop the handler. How long the lock is held then, as another process sees it.

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';

import type { Response } from 'express';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { Lock } from '../../../src/lock.js';
import { deferred, type Deferred } from '../../support/deferred.js';
import { express5App, frameworks, type Framework, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { startProbe, type Probe } from '../../support/probe.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const guard = fileLock('file', { namespace }) as Handler;
let probe: Probe;

beforeAll(async () => {
  probe = await startProbe(namespace);
});

/** Serves `handler` behind the lock and sends it a request; `closed` settles when its response has lost its client. */
async function begin(handler: Handler, { app = express5App, before = guard }: Partial<Setup> = {}) {
  const begun = deferred();
  const closed = deferred();
  const listener = app(before, (req, res, next) => {
    res.on('close', closed.resolve);
    begun.resolve();
    return handler(req, res, next);
  });
  const client = new RawClient(await listen(listener)).get();
  await begun.promise;
  return { client, closed: closed.promise };
}

interface Setup {
  app: Framework;
  before: Handler;
}

describe.each(frameworks)('In $name, a client that leaves while an async handler works', ({ app }) => {
  it.each(['leave', 'reset'] as const)('keeps the lock until the handler ends the response (%s)', async (way) => {
    const finish = deferred();
    const { client, closed } = await begin((_req, res) => void finish.promise.then(() => res.end('late')), { app });

    client[way]();
    await closed;
    expect(await probe.isHeld('file')).toBe(true);

    finish.resolve();
    await probe.becomesFree('file');
  });

  it('keeps the lock until the error handler has answered for the handler', async () => {
    const fail = deferred();
    const { client, closed } = await begin(
      (_req, _res, next) => void fail.promise.then(() => next(new Error('late'))),
      {
        // What plain code does with a `next` that throws later is its own affair.
        app: app === frameworks[3]?.app ? express5App : app,
      },
    );

    client.leave();
    await closed;
    expect(await probe.isHeld('file')).toBe(true);

    fail.resolve();
    await probe.becomesFree('file');
  });

  it('keeps the lock until the handler calls req.lock.release()', async () => {
    const finish = deferred();
    const { client, closed } = await begin((req) => void finish.promise.then(() => req.lock.release()), { app });

    client.leave();
    await closed;
    expect(await probe.isHeld('file')).toBe(true);

    finish.resolve();
    await probe.becomesFree('file');
  });

  it('would free the lock too early if it were released when the connection closes (control)', async () => {
    const naive: Handler = (_req, res, next) => {
      const held = new Lock('file', { namespace }).tryAcquire();
      res.on('close', () => held?.release());
      return next();
    };
    const finish = deferred();
    const { client, closed } = await begin((_req, res) => void finish.promise.then(() => res.end()), {
      app,
      before: naive,
    });
    expect(await probe.isHeld('file')).toBe(true);

    client.leave();
    await closed;
    expect(await probe.isHeld('file')).toBe(false);
    finish.resolve();
  });
});

describe('A client that leaves during a stream', () => {
  it.each<[string, (source: Readable, res: ServerResponse) => unknown]>([
    ['source.pipe(res)', (source, res) => source.pipe(res)],
    ['pipeline(source, res)', (source, res) => pipeline(source, res).catch(() => undefined)],
  ])('frees the lock when %s is torn down', async (_how, stream) => {
    const { client } = await begin((_req, res) => void stream(Readable.from(endless()), res));
    await expect.poll(() => client.received).toContain('chunk');
    expect(await probe.isHeld('file')).toBe(true);

    client.leave();
    await probe.becomesFree('file');
  });

  it('frees the lock when an async generator was the source, by the error handler that closes the connection', async () => {
    const { client } = await begin((_req, res) => pipeline(endless(), res));
    await expect.poll(() => client.received).toContain('chunk');
    expect(await probe.isHeld('file')).toBe(true);

    client.leave();
    await probe.becomesFree('file');
  });

  it('frees the lock when the stream is piped only after the client has left', async () => {
    const finish = deferred();
    const source = Readable.from(endless());
    onTestFinished(() => void source.destroy());
    const { client, closed } = await begin((_req, res) => void finish.promise.then(() => source.pipe(res)));

    client.leave();
    await closed;
    expect(await probe.isHeld('file')).toBe(true);

    finish.resolve();
    await probe.becomesFree('file');
  });

  it('frees the lock when sendFile is torn down, and holds it as long as the file flows', async () => {
    const { client } = await begin((_req, res) => {
      (res as Response).sendFile(largeFile());
    });
    await expect.poll(() => client.received).toContain('200 OK');
    // Neither can finish: the file is larger than all buffers on the way.
    client.socket.pause();
    expect(await probe.isHeld('file')).toBe(true);

    client.leave();
    await probe.becomesFree('file');
  });
});

describe('A connection that breaks after the handler began to answer', () => {
  it.each<[string, (client: RawClient, server: Server, socket: Socket) => unknown]>([
    ['its client leaves', (client) => client.leave()],
    ['its client resets it', (client) => client.reset()],
    ['its client sends garbage', (client) => client.socket.write('garbage\r\n\r\n')],
    [
      'its client sends garbage, and the app destroys such connections',
      (client, server) => {
        server.on('clientError', (_error, socket) => socket.destroy());
        client.socket.write('garbage\r\n\r\n');
      },
    ],
    ['it idles for too long', (_client, _server, socket) => socket.setTimeout(1)],
    [
      'it idles for too long, and the app destroys such connections',
      (_client, server, socket) => {
        server.on('timeout', (idle: Socket) => idle.destroy());
        socket.setTimeout(1);
      },
    ],
    ['all connections are closed, but not the server', (_client, server) => server.closeAllConnections()],
    [
      'the server is closed with all connections',
      (_client, server) => {
        server.close().closeAllConnections();
      },
    ],
  ])('keeps the lock, because the handler still works: %s', async (_how, breakIt) => {
    const finish = deferred();
    let connection: Socket | undefined;
    const { client, closed } = await begin((req, res) => {
      connection = req.socket;
      res.write('half');
      void finish.promise.then(() => res.end());
    });
    await expect.poll(() => client.received).toContain('half');

    breakIt(client, (connection as Socket & { server: Server }).server, connection!);
    await closed;
    expect(await probe.isHeld('file')).toBe(true);
    finish.resolve();
    await probe.becomesFree('file');
  });

  it.each<[string, Handler]>([
    ['destroys the response', (_req, res) => void setImmediate(() => res.destroy())],
    [
      'pipelines a source that fails',
      (_req, res) => void pipeline(Readable.from(failing()), res).catch(() => undefined),
    ],
    ['pipelines a generator that fails', (_req, res) => void pipeline(failing(), res).catch(() => undefined)],
    [
      'fails when its head is out, though the server has a time-out',
      (req, res, next) => {
        req.socket.setTimeout(60_000);
        res.write('half');
        setImmediate(() => next(new Error('broken')));
      },
    ],
  ])('frees the lock where the handler itself gave the response up: it %s', async (_how, handler) => {
    const { closed } = await begin(handler);

    await closed;
    await probe.becomesFree('file');
  });
});

describe('A client that leaves before the handler runs', () => {
  it('gets no lock, and its handler does not run, though the name comes later', async () => {
    const { ran, named, client } = await whileNaming();

    client.leave();
    await named.connectionClosed;
    named.resolve('file');

    await named.promise;
    await delay(0);
    expect(await probe.isHeld('file')).toBe(false);
    expect(ran()).toBe(false);
  });

  it('would get it if it had stayed (control)', async () => {
    const { ran, named, client } = await whileNaming();

    named.resolve('file');
    await expect.poll(() => client.statuses).toEqual([200]);
    expect(ran()).toBe(true);
  });

  it('gives back what it held before', async () => {
    const { named, client } = await whileNaming(guard);
    expect(await probe.isHeld('file')).toBe(true);

    client.leave();
    await named.connectionClosed;
    expect(await probe.isHeld('file')).toBe(true);
    named.resolve('another');
    await probe.becomesFree('file');
  });

  /** A request whose lock still waits for its name. */
  async function whileNaming(before: Handler = (_req, _res, next) => next()) {
    let ran = false;
    const asked = deferred();
    const closed = deferred();
    const named = deferred<string>() as Deferred<string> & { connectionClosed: Promise<void> };
    named.connectionClosed = closed.promise;
    const name = () => {
      asked.resolve();
      return named.promise;
    };
    const listener = express5App(
      before,
      (_req, res, next) => {
        res.on('close', closed.resolve);
        return next();
      },
      fileLock({ name, namespace }) as Handler,
      (_req, res) => {
        ran = true;
        res.end();
      },
    );
    const client = new RawClient(await listen(listener)).get();
    await asked.promise;
    return { ran: () => ran, named, client };
  }
});

async function* endless() {
  for (;;) {
    yield 'chunk ';
    await delay(1);
  }
}

async function* failing() {
  yield 'chunk ';
  await delay(1);
  throw new Error('broken source');
}

/** A file of 64 MiB without a block on the disk. */
function largeFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'semlock-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'large');
  const file = openSync(path, 'w');
  ftruncateSync(file, 64 * 1024 * 1024);
  closeSync(file);
  return path;
}
