// What everybody relies on, in each way of running handlers: one request is in, the others hear "busy", and however the
// handler ends, the next one can come.

import request from 'supertest';
import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { fakeStore } from '../../support/fake-store.js';
import { deferred } from '../../support/deferred.js';
import { frameworks, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const isHeld = (): boolean => lock.tryAcquire()?.release() === undefined;
const isFree = (): Promise<void> => expect.poll(isHeld).toBe(false);

const forms = [
  { form: 'fileLock()', guard: (handler: Handler) => [fileLock('file', { namespace }), handler] as Handler[] },
  { form: 'locked()', guard: (handler: Handler) => [locked('file', handler as never, { namespace })] as Handler[] },
];
const cases = frameworks.flatMap((framework) => forms.map((form) => ({ ...framework, ...form })));

describe.each(cases)('$form in $name', ({ app, guard, form }) => {
  it('runs the handler with the lock, and releases it with the response', async () => {
    let during: boolean | undefined;
    const listener = app(
      ...guard((req, res) => {
        during = isHeld() && req.lock.name === 'file' && !req.lock.released;
        res.end('done');
      }),
    );

    await request(listener).get('/').expect(200, 'done');
    expect(during).toBe(true);
    await isFree();
  });

  it('answers "busy" while the lock is held elsewhere, and does not run the handler', async () => {
    let ran = false;
    const listener = app(
      ...guard((_req, res) => {
        ran = true;
        res.end();
      }),
    );
    const elsewhere = lock.tryAcquire();

    await request(listener).get('/').expect(503, 'busy').expect('Retry-After', '1');
    elsewhere?.release();

    expect(ran).toBe(false);
    expect(isHeld()).toBe(false);
    await request(listener).get('/').expect(200);
  });

  it('lets the error handler answer when the handler throws, and releases', async () => {
    const listener = app(
      ...guard(() => {
        throw new Error('broken');
      }),
    );

    await request(listener).get('/').expect(500, 'error handler: broken');
    await isFree();
  });

  it('releases when the handler throws after it began to answer', async () => {
    const listener = app(
      ...guard((_req, res) => {
        res.write('half');
        throw new Error('broken');
      }),
    );

    await expect(request(listener).get('/')).rejects.toThrow();
    await isFree();
  });

  it('keeps the lock while the handler works, also when its client has gone', async () => {
    const gone = deferred();
    const finish = deferred();
    const listener = app(
      ...guard(async (_req, res) => {
        res.on('close', gone.resolve);
        await finish.promise;
        res.end('too late');
      }),
    );
    const client = new RawClient(await listen(listener)).get();
    await expect.poll(isHeld).toBe(true);

    client.leave();
    await gone.promise;
    expect(isHeld()).toBe(true);

    finish.resolve();
    await isFree();
  });

  it('gives the error handler an error with a status when the lock cannot be taken', async () => {
    const broken = fakeStore({
      trySync: () => {
        throw new Error('store down');
      },
    });
    let ran = false;
    const handler: Handler = () => (ran = true);
    const options = { namespace, store: broken };
    const guarded =
      form === 'locked()' ? [locked('file', handler as never, options)] : [fileLock('file', options), handler];

    await request(app(...(guarded as Handler[])))
      .get('/')
      .expect(503, 'error handler: store down');
    expect(ran).toBe(false);
  });
});

// If no code awaits the handler's promise, Node.js ends the process when it rejects.
const awaiting = cases.filter(({ awaitsHandlers, form }) => awaitsHandlers || form === 'locked()');

describe.each(awaiting)('$form in $name, when the handler rejects', ({ app, guard }) => {
  it('lets the error handler answer, and releases', async () => {
    const listener = app(
      ...guard(async () => {
        await Promise.resolve();
        throw new Error('broken');
      }),
    );

    await request(listener).get('/').expect(500, 'error handler: broken');
    await isFree();
  });

  it('releases when it had begun to answer', async () => {
    const begun = deferred();
    const listener = app(
      ...guard(async (_req, res) => {
        res.write('half');
        await begun.promise;
        throw new Error('broken');
      }),
    );
    const client = new RawClient(await listen(listener)).get();

    await expect.poll(() => client.received).toContain('half');
    expect(isHeld()).toBe(true);
    begun.resolve();
    await isFree();
  });
});

describe('A handler of node:http whose error nobody answers', () => {
  const plain = [
    {
      form: 'fileLock()',
      call: (handler: () => unknown): Handler => {
        const middleware = fileLock('file', { namespace });
        return (req, res) => middleware(req, res, handler);
      },
    },
    {
      form: 'locked()',
      call: (handler: () => unknown): Handler => {
        const wrapped = locked('file', handler, { namespace });
        return (req, res) => wrapped(req, res); // without a `next`, which would be given the error
      },
    },
  ];

  /** Passes a request to `handler`; gives what its caller gets, before anything is answered. */
  async function outcome(handler: Handler): Promise<unknown> {
    const result = deferred<unknown>();
    const port = await listen((req, res) => {
      try {
        result.resolve(handler(req as Parameters<Handler>[0], res, () => undefined));
      } catch (error) {
        result.resolve((error as Error).message);
      }
    });
    new RawClient(port).get();
    return result.promise;
  }

  it.each(plain)('releases the lock of $form and reaches the caller when it was thrown', async ({ call }) => {
    const thrown = await outcome(
      call(() => {
        throw new Error('broken');
      }),
    );

    expect(thrown).toBe('broken');
    expect(isHeld()).toBe(false);
  });

  it('releases the lock of fileLock() and reaches the caller when it was a rejection', async () => {
    const handler = plain[0]!.call(() => Promise.reject(new Error('broken')));

    await expect(outcome(handler)).rejects.toThrow('broken');
    expect(isHeld()).toBe(false);
  });
});
