// Readers that pass together, writers that pass alone, and a request that is now the one and now the other.

import request from 'supertest';
import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import type { FileLockOptions } from '../../../src/http/node/types.js';
import type { LockMode } from '../../../src/store.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const file = new Lock('file', { namespace });
const guard = (options: FileLockOptions = {}) => fileLock({ name: 'file', namespace, ...options }) as Handler;
const becomesFree = () => expect.poll(() => file.tryAcquire()?.release(), { interval: 1 }).toBe(true);

const reading: FileLockOptions = { mode: (req) => (req.method === 'GET' ? 'shared' : 'exclusive') };

/** A server on which GET reads and PUT writes until told to end. */
async function readersAndWriters(options: FileLockOptions = {}) {
  const finish = deferred();
  const inside: string[] = [];
  const listener = express5App(guard({ ...reading, ...options }), (req, res) => {
    inside.push(`${req.method!} ${req.lock.mode}`);
    void finish.promise.then(() => res.end());
  });
  const port = await listen(listener);
  return { inside, finish, send: (method: string) => new RawClient(port).request(method, '/') };
}

describe('fileLock() with a mode for each request', () => {
  it('lets readers pass together, and refuses a writer meanwhile', async () => {
    const { inside, finish, send } = await readersAndWriters();
    const readers = [send('GET'), send('GET'), send('GET')];
    await expect.poll(() => inside).toEqual(['GET shared', 'GET shared', 'GET shared']);
    const writer = send('PUT');
    await expect.poll(() => writer.statuses).toEqual([503]);

    finish.resolve();
    await expect.poll(() => readers.flatMap(({ statuses }) => statuses)).toEqual([200, 200, 200]);
    await becomesFree();
  });

  it('refuses readers while a writer has the lock', async () => {
    const { inside, finish, send } = await readersAndWriters();
    const writer = send('PUT');
    await expect.poll(() => inside).toEqual(['PUT exclusive']);
    const reader = send('GET');
    await expect.poll(() => reader.statuses).toEqual([503]);
    finish.resolve();
    await expect.poll(() => writer.statuses).toEqual([200]);
    await becomesFree();
  });

  it('lets no reader overtake a writer that waits', async () => {
    const { inside, finish, send } = await readersAndWriters({ waitMs: 20_000 });
    send('GET');
    await expect.poll(() => inside).toEqual(['GET shared']);
    const writer = send('PUT');
    await expect.poll(() => file.tryAcquire({ mode: 'shared' })?.release(), { interval: 1 }).toBeUndefined();
    const late = send('GET');
    await new Promise(setImmediate);
    expect(inside).toEqual(['GET shared']);

    finish.resolve();
    await expect.poll(() => [...writer.statuses, ...late.statuses]).toEqual([200, 200]);
    expect(inside).toEqual(['GET shared', 'PUT exclusive', 'GET shared']);
    await becomesFree();
  });

  it.each([undefined, 'read', Promise.resolve('shared')])('gives an error for the mode %o', async (wrong) => {
    const app = express5App(guard({ mode: () => wrong as LockMode }), () => expect.unreachable());
    const { text } = await request(app).get('/').expect(500);
    expect(text).toContain(`fileLock(): the function "mode" must give 'exclusive' or 'shared'`);
    await becomesFree();
  });

  it('gives what the function throws to the error handler', async () => {
    const mode = () => {
      throw new Error('no mode');
    };
    await request(express5App(guard({ mode }), () => expect.unreachable()))
      .get('/')
      .expect(500, 'error handler: no mode');
  });
});

describe('A request that meets its own lock in another mode', () => {
  const answerMode: Handler = (req, res) => void res.end(req.lock.mode);

  it.each<[LockMode, LockMode]>([
    ['exclusive', 'shared'],
    ['shared', 'shared'],
    ['exclusive', 'exclusive'],
  ])('passes where what it has is enough: %s, then %s', async (first, second) => {
    await request(express5App(guard({ mode: first }), guard({ mode: second }), answerMode))
      .get('/')
      .expect(200, first);
    await becomesFree();
  });

  it.each([0, 20_000])('gets an error at once where it would wait for itself (waitMs: %i)', async (waitMs) => {
    let seen: unknown;
    const app = express5App(
      (_req, _res, next) => next(),
      guard({ mode: 'shared' }),
      (req, res, next) =>
        guard({ waitMs })(req, res, (error) => {
          seen = error;
          return next(error);
        }),
      () => expect.unreachable(),
    );
    const { text } = await request(app).get('/').expect(500);
    expect(text).toContain('this request holds the lock "file" shared, so it cannot have it exclusively');
    expect(seen).toMatchObject({ code: 'ERR_SEMLOCK_UPGRADE', lockName: 'file', status: 500 });
    await becomesFree();
  });

  it('may have it exclusively when it has released it before', async () => {
    const release: Handler = (req, _res, next) => {
      req.lock.release();
      return next();
    };
    await request(express5App(guard({ mode: 'shared' }), release, guard(), answerMode))
      .get('/')
      .expect(200, 'exclusive');
    await becomesFree();
  });
});
