// How long the lock is held when the client stays, as another process sees it: exactly as long as the handler works.

import request from 'supertest';
import { beforeAll, describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
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

/** Sends a request, and waits until the last handler has begun: the probe takes the lock itself when it is free. */
async function begin(app: Framework, ...handlers: Handler[]): Promise<RawClient> {
  const begun = deferred();
  const last = handlers.pop()!;
  const port = await listen(
    app(...handlers, (req, res, next) => {
      begun.resolve();
      return last(req, res, next);
    }),
  );
  const client = new RawClient(port).get();
  await begun.promise;
  return client;
}

describe.each(frameworks)('In $name', ({ app }) => {
  it('the lock is held while the handler works, and free after its response', async () => {
    const finish = deferred();
    const client = await begin(app, guard, (_req, res) => void finish.promise.then(() => res.end('done')));
    expect(await probe.isHeld('file')).toBe(true);

    finish.resolve();
    await expect.poll(() => client.received).toContain('done');
    await probe.becomesFree('file');
  });

  it('the lock is free after the handler threw', async () => {
    let heldBefore: Promise<boolean> | undefined;
    const listener = app(guard, () => {
      heldBefore = probe.isHeld('file');
      throw new Error('broken');
    });

    await request(listener).get('/').expect(500);
    await heldBefore;
    await probe.becomesFree('file');
  });

  it('the lock is held for a handler that never ends as long as its client waits, and orphanAfterMs after that', async () => {
    const brief = fileLock('file', { namespace, orphanAfterMs: 1 }) as Handler;
    const client = await begin(app, brief, () => undefined);

    await request(app(guard)).get('/').expect(503, 'busy');
    expect(client.received).toBe('');
    expect(await probe.isHeld('file')).toBe(true);

    client.leave();
    await probe.becomesFree('file');
  });
});

describe('The lock of a request', () => {
  it('is held while its handler works, and free after that has rejected', async () => {
    let heldBefore: boolean | undefined;
    const listener = express5App(guard, async () => {
      heldBefore = await probe.isHeld('file');
      throw new Error('broken');
    });

    await request(listener).get('/').expect(500);
    expect(heldBefore).toBe(true);
    await probe.becomesFree('file');
  });

  it.each<[string, (end: () => void) => unknown]>([
    ['later', (end) => setTimeout(end, 50)],
    ['at once', (end) => end()],
  ])('is not kept by a client that reads slowly, once the handler has ended its response %s', async (_when, run) => {
    let over = false;
    const client = await begin(express5App, guard, (_req, res) => {
      res.on('finish', () => (over = true));
      run(() => res.end('x'.repeat(64_000_000)));
    });
    client.socket.pause();

    await probe.becomesFree('file');
    expect(over).toBe(false);
  });

  it('is kept for the rest of the synchronous work of a handler that has ended its response', async () => {
    let heldAfterEnd: boolean | undefined;
    const listener = express5App(guard, (_req, res) => {
      res.end('done');
      heldAfterEnd = new Lock('file', { namespace }).tryAcquire()?.release() === undefined;
    });

    await request(listener).get('/').expect(200);
    expect(heldAfterEnd).toBe(true);
    await probe.becomesFree('file');
  });

  it('is released once, however often the handler releases it and ends the response', async () => {
    const released: boolean[] = [];
    const listener = express5App(guard, (req, res) => {
      released.push(req.lock.release(), req.lock.release());
      res.end('done');
      res.end();
      released.push(req.lock.release());
    });

    await request(listener).get('/').expect(200, 'done');
    expect(released).toEqual([true, false, false]);

    const mine = new Lock('file', { namespace }).tryAcquire();
    expect(mine).not.toBeNull();
    expect(await probe.isHeld('file'), 'a second release would have made a second permit').toBe(true);
    mine?.release();
  });

  it('passes where the same request meets it again, and is held until the outermost is done', async () => {
    const inner = deferred();
    const outer = deferred();
    const again = locked('file', () => inner.promise, { namespace });
    const client = await begin(express5App, guard, guard, async (req, res, next) => {
      await again(req, res, next);
      expect(await probe.isHeld('file')).toBe(true);
      await outer.promise;
      res.end('done');
    });

    inner.resolve();
    outer.resolve();
    await expect.poll(() => client.statuses).toEqual([200]);
    await probe.becomesFree('file');
  });

  it('is held by locked() until the promise has settled, though the response is over', async () => {
    const finish = deferred();
    const background = locked(
      'file',
      async (_req, res) => {
        res.end('accepted');
        await finish.promise;
      },
      { namespace },
    );

    await request(express5App(background as Handler))
      .get('/')
      .expect(200, 'accepted');
    expect(await probe.isHeld('file')).toBe(true);
    finish.resolve();
    await probe.becomesFree('file');
  });

  it('is held by locked() until the response is over, where the handler gives no promise', async () => {
    const finish = deferred();
    const callbacks = locked('file', (_req, res) => void finish.promise.then(() => res.end('done')), { namespace });
    const client = await begin(express5App, callbacks as Handler);
    expect(await probe.isHeld('file')).toBe(true);

    finish.resolve();
    await expect.poll(() => client.received).toContain('done');
    await probe.becomesFree('file');
  });
});
