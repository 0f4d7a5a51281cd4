// Clients that keep a lock by doing nothing are disconnected, and no others.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { connect as connect2, createServer as createServer2, type ClientHttp2Session } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Server } from 'node:net';
import { PassThrough, Readable, type Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';

import { afterAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import type { FileLockOptions } from '../../../src/http/node/types.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import type { Handler } from '../../support/http-frameworks.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
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
    send: (port: number, body: string): Duplex => sendOver(connect2(`http://127.0.0.1:${port}`), body),
  },
  {
    protocol: 'HTTP/2, beside a stream that flows both ways',
    serve: (listener: RequestListener): Server =>
      createServer2(((req, res) => {
        if (req.url === '/beside') req.pipe(res);
        else listener(req, res);
      }) as RequestListener as never),
    send: (port: number, body: string): Duplex => {
      const session = connect2(`http://127.0.0.1:${port}`);
      const beside = session.request({ ':path': '/beside', ':method': 'PUT' });
      beside.on('error', () => undefined).write('on and on');
      beside.on('data', (chunk: Buffer) => void setTimeout(() => beside.write(chunk), STALL_MS / 50));
      return sendOver(session, body);
    },
  },
];

function sendBy(socket: Duplex, body: string): Duplex {
  const length = body === '' ? '' : 'Content-Length: 100000\r\n';
  socket.write(`${body === '' ? 'GET' : 'PUT'} / HTTP/1.1\r\nHost: test\r\n${length}\r\n${body}`);
  return socket;
}

const sessions: ClientHttp2Session[] = [];
// Not before: Node.js 20 runs forever where a session is destroyed as one of its streams closes.
afterAll(() => {
  for (const session of sessions) session.destroy();
});

function sendOver(session: ClientHttp2Session, body: string): Duplex {
  session.on('error', () => undefined);
  const stream = session.request({ ':path': '/', ':method': body === '' ? 'GET' : 'PUT' }, { endStream: body === '' });
  sessions.push(session);
  if (body !== '') stream.write(body);
  return stream;
}

/** Serves one request by `handler` under a lock; the client has sent it, and reads nothing. */
async function begin(
  { task, onTestFinished: whenDone, expect: expecting }: TestContext,
  { serve, send }: (typeof protocols)[number],
  handler: Handler,
  { body = '', ...options }: FileLockOptions & { body?: string } = {},
) {
  const lock = new Lock(task.id, { namespace });
  const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;
  const guard = fileLock({ name: task.id, namespace, stallMs: STALL_MS, orphanAfterMs: 20_000, ...options }) as Handler;
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
  const client = send((server.address() as AddressInfo).port, body);
  client.on('error', () => undefined);
  whenDone(() => {
    client.destroy();
    server.close();
  });
  await begun.promise;
  const since = performance.now();
  const late = lateness();
  whenDone(late.end);
  await expecting.poll(isHeld).toBe(true);
  /** Milliseconds since the request began, which was the last that its client did, but for those that this thread was late. */
  const passed = () => performance.now() - since - late.ms();
  return { client, isHeld, closed: closed.promise.then(passed), passed };
}

/** How long this thread did not come to look at its clients, because the machine was busy. */
function lateness() {
  let [ms, last] = [0, performance.now()];
  const timer = setInterval(() => {
    const now = performance.now();
    ms += Math.max(0, now - last - 100);
    last = now;
  }, 50);
  return { ms: () => ms, end: () => clearInterval(timer) };
}

const large = Buffer.alloc(4_000_000);
const pipeMuch: Handler = (_req, res) => {
  const source = Readable.from(much(), { highWaterMark: 1 });
  source.pipe(res);
  res.on('close', () => source.destroy());
};
function* much() {
  for (;;) yield large;
}
const readBody: Handler = async (req, res) => {
  const failed = await pipeline(req, new PassThrough().resume()).then(
    () => false,
    () => true,
  );
  res.end(failed ? 'not read' : 'read');
};

describe.concurrent('A client is disconnected, and the lock is free,', () => {
  it.for(protocols)('when it reads nothing of its answer, by $protocol', async (protocol, test) => {
    const { expect } = test;
    const { isHeld, closed, passed } = await begin(test, protocol, pipeMuch);

    expect(await closed).toBeGreaterThan(STALL_MS * 0.7);
    await expect.poll(isHeld, { interval: 10 }).toBe(false);
    expect(passed()).toBeLessThan(STALL_MS + 1000);
  });

  it.for(protocols)('when it sends nothing of a body that is waited for, by $protocol', async (protocol, test) => {
    const { expect } = test;
    const { client, isHeld, closed, passed } = await begin(test, protocol, readBody, { body: 'half' });
    client.resume();

    expect(await closed).toBeGreaterThan(STALL_MS * 0.7);
    await expect.poll(isHeld, { interval: 10 }).toBe(false);
    expect(passed()).toBeLessThan(STALL_MS + 1000);
  });

  it.for(protocols)(
    'not when its handler is slow, or it sends a body that nobody reads, by $protocol',
    async (protocol, test) => {
      const { expect } = test;
      const done = deferred();
      const { client, isHeld } = await begin(
        test,
        protocol,
        (_req, res) => void done.promise.then(() => res.end('done')),
        {
          body: 'half',
        },
      );
      let received = '';
      client.on('data', (chunk: Buffer) => (received += chunk.toString()));
      await delay(2.5 * STALL_MS);

      expect(isHeld()).toBe(true);
      done.resolve();
      await expect.poll(() => received).toContain('done');
      await expect.poll(isHeld).toBe(false);
    },
  );

  it.for(protocols)('not when it reads a stream of events with pauses, by $protocol', async (protocol, test) => {
    const { expect } = test;
    let stop = false;
    const { client, isHeld } = await begin(test, protocol, async (_req, res) => {
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

  it.for(protocols.slice(-2))('not when it takes a large write bit by bit, by $protocol', async (protocol, test) => {
    const { expect } = test;
    const { client, isHeld } = await begin(test, protocol, (_req, res) => {
      res.write(large);
    });
    const end = performance.now() + 3 * STALL_MS;
    while (performance.now() < end) {
      await once(client.resume(), 'data');
      client.pause();
      await delay(STALL_MS / 10);
    }

    expect(isHeld()).toBe(true);
    client.destroy();
  });

  it.for(protocols)('not when it reads slowly, by $protocol', async (protocol, test) => {
    const { expect } = test;
    const { client, isHeld, closed } = await begin(test, protocol, pipeMuch);
    let isClosed = false;
    void closed.then(() => (isClosed = true));
    const end = performance.now() + 3 * STALL_MS;
    while (performance.now() < end) {
      // Enough for the operating system to ask for more, which it does in steps of up to some megabytes.
      for (let bytes = 0; bytes < 4_000_000;) {
        const [chunk] = (await once(client.resume(), 'data')) as [Buffer];
        bytes += chunk.length;
      }
      client.pause();
      await delay(STALL_MS / 5);
    }

    expect(isClosed).toBe(false);
    expect(isHeld()).toBe(true);
    client.destroy();
    await expect.poll(isHeld, { timeout: 10_000 }).toBe(false);
  });
});

describe.concurrent('A client that does nothing', () => {
  it('keeps the lock with stallMs 0 (control)', async (test) => {
    const { expect } = test;
    const { client, isHeld } = await begin(test, protocols[0]!, pipeMuch, { stallMs: 0 });
    await delay(2.5 * STALL_MS);

    expect(isHeld()).toBe(true);
    client.destroy();
    await expect.poll(isHeld, { timeout: 10_000 }).toBe(false);
  });
});

describe('A request that holds the lock for longer than maxHoldMs', () => {
  it('is warned about, and its client disconnected, though that reads', async (test) => {
    const warnings: (Error & { code?: string })[] = [];
    const warned = (warning: Error) => void warnings.push(warning);
    process.on('warning', warned);
    onTestFinished(() => void process.off('warning', warned));
    const { client, isHeld, closed } = await begin(
      test,
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
