// Clients that keep a lock by doing nothing are disconnected, and no others.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect as connect2, createServer as createServer2 } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Server } from 'node:net';
import { PassThrough, Readable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

import { describe, expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import type { FileLockOptions } from '../../../src/http/node/types.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import type { Handler } from '../../support/http-frameworks.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;
const STALL_MS = 1000;

// TLS by a key that both sides know, which needs no certificate.
const psk = Buffer.from('0123456789abcdef');
const tls = { ciphers: 'PSK', maxVersion: 'TLSv1.2' as const };

/** Each sends a request with half of its body, or none, and gives the stream of it. */
const protocols = [
  {
    protocol: 'HTTP',
    serve: (listener: RequestListener): Server => createServer(listener),
    send: (port: number, body: string): Duplex => sendBy(connect(port, '127.0.0.1'), body),
  },
  {
    protocol: 'HTTPS',
    serve: (listener: RequestListener): Server =>
      createTlsServer({ ...tls, pskCallback: () => psk, pskIdentityHint: 'test' } as object, listener),
    send: (port: number, body: string): Duplex => {
      const pskCallback = () => ({ psk, identity: 'test' });
      return sendBy(
        connectTls({ ...tls, port, host: '127.0.0.1', pskCallback, checkServerIdentity: () => undefined }),
        body,
      );
    },
  },
  {
    protocol: 'HTTP/2',
    serve: (listener: RequestListener): Server => createServer2(listener as never),
    send: (port: number, body: string): Duplex => {
      const session = connect2(`http://127.0.0.1:${port}`);
      onTestFinished(() => {
        session.destroy();
      });
      session.on('error', () => undefined);
      const stream = session.request(
        { ':path': '/', ':method': body === '' ? 'GET' : 'PUT' },
        { endStream: body === '' },
      );
      if (body !== '') stream.write(body);
      return stream;
    },
  },
];

function sendBy(socket: Duplex, body: string): Duplex {
  onTestFinished(() => void socket.destroy());
  const length = body === '' ? '' : 'Content-Length: 100000\r\n';
  socket.write(`${body === '' ? 'GET' : 'PUT'} / HTTP/1.1\r\nHost: test\r\n${length}\r\n${body}`);
  return socket;
}

/** Serves one request by `handler` under the lock; the client has sent it, and reads nothing. */
async function begin(
  { serve, send }: (typeof protocols)[number],
  handler: Handler,
  { body = '', ...options }: FileLockOptions & { body?: string } = {},
) {
  const guard = fileLock('file', { namespace, stallMs: STALL_MS, orphanAfterMs: 20_000, ...options }) as Handler;
  const begun = deferred();
  const closed = deferred();
  const server = serve((req, res) => {
    res.on('close', closed.resolve);
    res.on('error', () => undefined);
    begun.resolve();
    void guard(req as Parameters<Handler>[0], res, () => handler(req as Parameters<Handler>[0], res, () => undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const client = send((server.address() as AddressInfo).port, body);
  client.on('error', () => undefined);
  await begun.promise;
  const since = performance.now();
  await expect.poll(isHeld).toBe(true);
  return { client, closed: closed.promise.then(() => performance.now() - since) };
}

const pipeMuch: Handler = (_req, res) => {
  const source = Readable.from(much());
  source.pipe(res);
  res.on('close', () => source.destroy());
};
function* much() {
  for (;;) yield Buffer.alloc(4_000_000);
}
const readBody: Handler = async (req, res) => {
  const failed = await pipeline(req, new PassThrough().resume()).then(
    () => false,
    () => true,
  );
  res.end(failed ? 'not read' : 'read');
};

describe.each(protocols)('By $protocol, a client is disconnected, and the lock is free,', (protocol) => {
  it('when it reads nothing of its answer', async () => {
    const { closed } = await begin(protocol, pipeMuch);

    expect(await closed).toBeGreaterThan(STALL_MS * 0.7);
    await expect.poll(isHeld).toBe(false);
  });

  it('when it sends nothing of a body that is waited for', async () => {
    const { client, closed } = await begin(protocol, readBody, { body: 'half' });
    client.resume();

    expect(await closed).toBeGreaterThan(STALL_MS * 0.7);
    await expect.poll(isHeld).toBe(false);
  });

  it('not when its handler is slow, or it sends a body that nobody reads', async () => {
    const done = deferred();
    const { client } = await begin(protocol, (_req, res) => void done.promise.then(() => res.end('done')), {
      body: 'half',
    });
    let received = '';
    client.on('data', (chunk: Buffer) => (received += chunk.toString()));
    await delay(2.5 * STALL_MS);

    expect(isHeld()).toBe(true);
    done.resolve();
    await expect.poll(() => received).toContain('done');
    await expect.poll(isHeld).toBe(false);
  });

  it('not when it reads a stream of events with pauses', async () => {
    let stop = false;
    const { client } = await begin(protocol, async (_req, res) => {
      while (!stop) {
        res.write(': still here\n\n');
        await delay(STALL_MS / 2);
      }
      res.end('data: done\n\n');
    });
    let received = '';
    client.on('data', (chunk: Buffer) => (received += chunk.toString()));
    await delay(3 * STALL_MS);

    expect(isHeld()).toBe(true);
    stop = true;
    await expect.poll(() => received).toContain('data: done');
    await expect.poll(isHeld).toBe(false);
  });

  it('not when it reads slowly', async () => {
    const { client, closed } = await begin(protocol, pipeMuch);
    let isClosed = false;
    void closed.then(() => (isClosed = true));
    const end = performance.now() + 3 * STALL_MS;
    while (performance.now() < end) {
      // Enough for the operating system to ask for more, which it does in steps of up to some megabytes.
      client.resume();
      await delay(STALL_MS / 50);
      client.pause();
      await delay(STALL_MS / 5);
    }

    expect(isClosed).toBe(false);
    expect(isHeld()).toBe(true);
    client.destroy();
    await expect.poll(isHeld, { timeout: 10_000 }).toBe(false);
  });
});

describe('A client that does nothing', () => {
  it('keeps the lock with stallMs 0 (control)', async () => {
    const { client } = await begin(protocols[0]!, pipeMuch, { stallMs: 0 });
    await delay(2.5 * STALL_MS);

    expect(isHeld()).toBe(true);
    client.destroy();
    await expect.poll(isHeld, { timeout: 10_000 }).toBe(false);
  });
});

describe('A request that holds the lock for longer than maxHoldMs', () => {
  it('is warned about, and its client disconnected, though that reads', async () => {
    const warnings: (Error & { code?: string })[] = [];
    const warned = (warning: Error) => void warnings.push(warning);
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    const { client, closed } = await begin(
      protocols[0]!,
      async (_req, res) => {
        while (!res.destroyed) {
          res.write('more');
          await delay(20);
        }
        res.end();
      },
      { maxHoldMs: 600 },
    );
    client.resume();

    expect(await closed).toBeGreaterThan(500);
    await expect.poll(isHeld).toBe(false);
    expect(warnings.map(({ code }) => code)).toEqual(['SEMLOCK_MAX_HOLD']);
    expect(warnings[0]!.message).toContain('The client of GET / was disconnected');
  });
});
