// What HTTP has beside a request and its answer: upgrades, 100-continue, answers without a body, the end of a session, and
// many spellings of one path.

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect as connect2, createServer as createServer2, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { describe, expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { frameworks, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;
const guard = fileLock('file', { namespace }) as Handler;

async function listenOn(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

describe.each(frameworks)('In $name', ({ app }) => {
  const answer: Handler = (_req, res) => void res.end('done');

  it('an upgrade passes the lock by, and one that nobody takes is a request as any other', async () => {
    const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket' };
    const server = createServer(app(guard, answer));
    const port = await listenOn(server);
    const elsewhere = lock.tryAcquire()!;
    const refused = new RawClient(port).get('/', upgrade);
    await expect.poll(() => refused.statuses).toEqual([503]);

    server.on('upgrade', (_req, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
    const upgraded = new RawClient(port).get('/', upgrade);
    await expect.poll(() => upgraded.statuses).toEqual([101]);
    elsewhere.release();
    expect(isHeld()).toBe(false);
  });

  it('100-continue is sent while the lock is held, and waits for no end', async () => {
    const server = createServer();
    server.on(
      'checkContinue',
      app(guard, async (req, res) => {
        res.writeContinue();
        const body = await text(req);
        res.end(`${body} ${isHeld() ? 'held' : 'free too early'}`);
      }),
    );
    const port = await listenOn(server);
    const client = new RawClient(port).request('PUT', '/', { Expect: '100-continue', 'Content-Length': '4' });
    await expect.poll(() => client.statuses).toEqual([100]);
    expect(isHeld()).toBe(true);
    client.socket.write('body');
    await expect.poll(() => client.received).toContain('body held');
    expect(isHeld()).toBe(false);
  });

  it('the lock is free with 304, before the handler ends what has no body', async () => {
    const end = deferred();
    const port = await listen(
      app(guard, async (_req, res) => {
        res.writeHead(304, { 'Content-Length': '4' }).flushHeaders();
        await end.promise;
        res.end();
      }),
    );
    const client = new RawClient(port).get();
    await expect.poll(() => client.received).toMatch(/304[^]*\r\n\r\n$/);
    expect(isHeld()).toBe(false);
    end.resolve();
  });

  it('all spellings of a path are one file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'semlock-spellings-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'x'));
    writeFileSync(join(folder, 'ledger'), '');
    symlinkSync('ledger', join(folder, 'current'));
    const [begun, end] = [deferred(), deferred()];
    const byPath = fileLock({ file: (req) => join(folder, decodeURIComponent(req.url)) }) as Handler;
    const port = await listen(
      app(byPath, async (_req, res) => {
        begun.resolve();
        await end.promise;
        res.end('done');
      }),
    );
    const put = (path: string) => new RawClient(port).request('PUT', path);
    const first = put('/ledger');
    await begun.promise;
    for (const path of ['/ledger', '/%6cedger', '/.%2Fledger', '/x%2F..%2Fledger', '/current']) {
      const other = put(path);
      await expect.poll(() => other.statuses, { message: path }).toEqual([503]);
    }
    end.resolve();
    await expect.poll(() => first.statuses).toEqual([200]);
    const another = put('/x%2Fledger');
    await expect.poll(() => another.statuses).toEqual([200]);
  });
});

it('A session of HTTP/2 that goes away lets a handler finish, and the lock is its own until then', async () => {
  const [begun, end] = [deferred<ServerHttp2Stream>(), deferred()];
  const server = createServer2((req, res) => {
    guard(req as never, res as never, () => {
      begun.resolve(req.stream as ServerHttp2Stream);
      return end.promise.then(() => res.end('done'));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  const answer = text(session.request({ ':path': '/' }));
  const { session: itsSession } = await begun.promise;
  const goneAway = once(session, 'goaway');
  itsSession!.goaway();
  await goneAway;
  expect(isHeld()).toBe(true);
  end.resolve();
  expect(await answer).toBe('done');
  expect(isHeld()).toBe(false);
});
