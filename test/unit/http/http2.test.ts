// The compatibility API of node:http2: a session is shared by many requests, and a stream has an end of its own.

import { once } from 'node:events';
import { open } from 'node:fs/promises';
import {
  connect,
  constants,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2ServerResponse,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import type { Handler } from '../../support/http-frameworks.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;

const forms = [
  {
    form: 'fileLock()',
    guard: (handler: Handler): Handler => {
      const middleware = fileLock('file', { namespace });
      return (req, res) => middleware(req, res, () => handler(req, res, () => undefined));
    },
  },
  {
    form: 'locked()',
    guard: (handler: Handler): Handler => locked('file', handler as never, { namespace }) as Handler,
  },
];

/** Serves requests by `handler`, and sends one. */
async function begin(handler: Handler) {
  const begun = deferred();
  const closed = deferred();
  const server = createServer((req, res) => {
    res.on('error', () => undefined).on('close', closed.resolve);
    void handler(req as never, res as never, () => undefined);
    begun.resolve();
  });
  server.on('sessionError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).on('error', () => undefined);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  const stream = session.request({ ':path': '/' }).on('error', () => undefined);
  stream.resume().end();
  await begun.promise;
  return { session, stream, closed: closed.promise };
}

describe.each(forms)('$form over HTTP/2', ({ guard }) => {
  it.each<[string, (stream: ClientHttp2Stream, session: ClientHttp2Session) => void]>([
    ['resets its stream', (stream) => stream.close(constants.NGHTTP2_CANCEL)],
    ['destroys its session', (_stream, session) => session.destroy()],
  ])('keeps the lock for a handler that writes on after its client %s', async (_how, leave) => {
    const write = deferred();
    const written = deferred();
    const end = deferred();
    const { stream, session, closed } = await begin(
      guard(async (_req, res) => {
        res.write('begun');
        await write.promise;
        res.write('more');
        written.resolve();
        await end.promise;
        res.end();
      }),
    );
    leave(stream, session);
    await closed;
    expect(isHeld()).toBe(true);
    write.resolve();
    await written.promise;
    await new Promise(setImmediate);
    expect(isHeld()).toBe(true);

    end.resolve();
    await expect.poll(isHeld).toBe(false);
  });

  it.each<[string, (stream: ServerHttp2Stream) => unknown]>([
    ['end()', (stream) => stream.end('done')],
    [
      'respondWithFD()', // respondWithFile() in a thread leaves a number behind that Node.js closes again when the thread ends
      async (stream) => {
        const file = await open(fileURLToPath(import.meta.url));
        stream.once('close', () => void file.close());
        stream.respondWithFD(file);
      },
    ],
    ['respond() alone', (stream) => stream.respond({ ':status': 204 }, { endStream: true })],
  ])('is free when the handler has answered by its stream itself, by %s', async (_how, answer) => {
    const { stream } = await begin(
      guard(async (_req, res) => {
        await new Promise(setImmediate);
        await answer((res as unknown as Http2ServerResponse).stream as ServerHttp2Stream);
      }),
    );
    await once(stream, 'close');
    await expect.poll(isHeld).toBe(false);
  });

  it('tells another stream of the session that the lock is busy', async () => {
    const end = deferred();
    const { session, stream } = await begin(
      guard(async (_req, res) => {
        await end.promise;
        res.end();
      }),
    );
    const other = session.request({ ':path': '/other' });
    const [headers] = (await once(other, 'response')) as [Record<string, unknown>];
    expect(headers[':status']).toBe(503);
    other.close();

    end.resolve();
    await once(stream, 'close');
    await expect.poll(isHeld).toBe(false);
  });
});
