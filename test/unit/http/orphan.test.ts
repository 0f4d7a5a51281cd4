// A handler that never ends after its client has gone: the lock comes back, with a warning.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';

import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

import type { OrphanedMessage } from '../../../src/http/node/exchange.js';
import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;

let warnings: (Error & { code?: string })[];
let messages: OrphanedMessage[];

beforeEach(() => {
  warnings = [];
  messages = [];
  const warned = (warning: Error) => {
    if (warning.name === 'SemlockWarning') warnings.push(warning);
  };
  const told = (message: unknown) => void messages.push(message as OrphanedMessage);
  process.on('warning', warned);
  subscribe('semlock:orphaned', told);
  onTestFinished(() => {
    process.off('warning', warned);
    unsubscribe('semlock:orphaned', told);
  });
});

/** Sends a request to a handler that does not end, and leaves. */
async function leaveBehind(guard: Handler, work: Handler = () => undefined): Promise<void> {
  const begun = deferred();
  const closed = deferred();
  const listener = express5App(
    (_req, res, next) => {
      res.on('close', closed.resolve);
      return next();
    },
    guard,
    (req, res, next) => {
      begun.resolve();
      return work(req, res, next);
    },
  );
  const client = new RawClient(await listen(listener)).get('/report');
  await begun.promise;
  expect(isHeld()).toBe(true);
  client.leave();
  await closed.promise;
}

describe('A handler that does not end after its client has left', () => {
  const forms: [string, Handler][] = [
    ['fileLock()', fileLock('file', { namespace, orphanAfterMs: 20 }) as Handler],
    [
      'locked()',
      locked(
        'file',
        (_req, _res, next) => {
          next();
          return new Promise(() => undefined);
        },
        { namespace, orphanAfterMs: 20 },
      ) as Handler,
    ],
  ];

  it.each(forms)('loses the lock of %s after orphanAfterMs, with one warning and one event', async (_form, guard) => {
    await leaveBehind(guard);
    await expect.poll(isHeld).toBe(false);
    await expect.poll(() => warnings).toHaveLength(1);

    expect(warnings[0]?.code).toBe('SEMLOCK_ORPHANED');
    expect(warnings[0]?.message).toContain('The lock "file" was released 20 ms after the client had disconnected');
    expect(warnings[0]?.message).toContain('GET /report');
    const message = { name: 'file', namespace, mode: 'exclusive', pid: process.pid, token: expect.any(Number) };
    expect(messages).toMatchObject([{ ...message, orphanAfterMs: 20, req: { url: '/report' } }]);
    expect(messages[0]?.durationMs, 'how long it was held').toBeGreaterThan(15);
  });

  it('keeps the lock before that', async () => {
    let held: { release(): boolean } | undefined;
    await leaveBehind(fileLock('file', { namespace }) as Handler, (req) => (held = req.lock));

    expect(isHeld()).toBe(true);
    held?.release();
    expect(isHeld()).toBe(false);
  });
});

describe('A handler that works for its client alone', () => {
  it('loses the lock as its client leaves, and nobody is warned', async () => {
    const guard = fileLock('file', { namespace, endsWithClient: true }) as Handler;
    const work = deferred();
    await leaveBehind(guard, async (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: begun\n\n');
      await work.promise;
    });

    await expect.poll(isHeld).toBe(false);
    work.resolve();
    await leaveBehind(fileLock('file', { namespace, orphanAfterMs: 1 }) as Handler);
    await expect.poll(() => warnings).toHaveLength(1); // the other one alone
  });
});

describe('A handler that is done in time', () => {
  it.each<[string, (req: Parameters<Handler>[0], res: Parameters<Handler>[1]) => void]>([
    ['ends the response', (_req, res) => void res.end()],
    ['releases the lock itself', (req) => void req.lock.release()],
  ])('and %s is not warned about', async (_how, finish) => {
    let done = (): void => undefined;
    await leaveBehind(fileLock('file', { namespace, orphanAfterMs: 30 }) as Handler, (req, res) => {
      done = () => finish(req, res);
    });
    done();
    await expect.poll(isHeld).toBe(false);

    // Another request whose time runs out later: when it is reported, the first one would have been.
    await leaveBehind(fileLock('file', { namespace, orphanAfterMs: 40 }) as Handler);
    await expect.poll(() => messages).toHaveLength(1);
    expect(messages[0]?.orphanAfterMs).toBe(40);
  });
});
