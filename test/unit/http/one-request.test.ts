// Requests that meet several locks, or the same lock again, and several requests on one connection.

import request from 'supertest';
import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const guard = (name: string): Handler => fileLock(name, { namespace }) as Handler;
const isHeld = (name: string): boolean => new Lock(name, { namespace }).tryAcquire()?.release() === undefined;
const isFree = (name: string): Promise<void> => expect.poll(() => isHeld(name)).toBe(false);

describe('A request that meets the same lock again', () => {
  const inner: Handler = (req, res) => void res.end(req.lock.name);

  it.each<[string, Handler[]]>([
    ['fileLock() twice', [guard('a'), guard('a'), inner]],
    ['a computed name', [guard('a'), fileLock({ name: () => Promise.resolve('a'), namespace }) as Handler, inner]],
    ['locked() in fileLock()', [guard('a'), locked('a', inner as never, { namespace }) as Handler]],
    [
      'fileLock() in locked()',
      [locked('a', ((_req, _res, next) => next()) as Handler as never, { namespace }) as Handler, guard('a'), inner],
    ],
    ['another lock between', [guard('a'), guard('b'), guard('a'), inner]],
  ])('passes: %s', async (_what, handlers) => {
    await request(express5App(...handlers))
      .get('/')
      .expect(200, 'a');
    await isFree('a');
    await isFree('b');
  });

  it('takes it again when it has released it itself', async () => {
    let heldAgain = false;
    const app = express5App(
      guard('a'),
      (req, _res, next) => {
        req.lock.release();
        return next();
      },
      guard('a'),
      (_req, res) => {
        heldAgain = isHeld('a');
        res.end();
      },
    );

    await request(app).get('/').expect(200);
    expect(heldAgain).toBe(true);
    await isFree('a');
  });

  it.each<[string, Handler]>([
    ['another namespace', fileLock('a', { namespace: `${namespace}-other` }) as Handler],
    ['another name', guard('b')],
  ])('is not meant where it is %s', async (_what, other) => {
    let locks = 0;
    const count: Handler = (req, _res, next) => {
      locks += seen.has(req.lock) ? 0 : 1;
      seen.add(req.lock);
      return next();
    };
    const seen = new Set<unknown>();
    await request(express5App(guard('a'), count, other, count, (_req, res) => void res.end()))
      .get('/')
      .expect(200);

    expect(locks).toBe(2);
  });

  it('gives back the first lock when the second is busy', async () => {
    const elsewhere = new Lock('b', { namespace }).tryAcquire();

    await request(express5App(guard('a'), guard('b')))
      .get('/')
      .expect(503, 'busy');
    elsewhere?.release();
    await isFree('a');
  });
});

describe('Pipelined requests', () => {
  /** `/slow` answers when told to; `/locked` holds the lock and answers when told to. */
  async function pipelined() {
    const slow = deferred();
    const work = deferred();
    const begun = deferred();
    const listener = express5App(
      (req, res, next) => (req.url === '/slow' ? void slow.promise.then(() => res.end('slow')) : next()),
      guard('a'),
      (_req, res) => {
        begun.resolve();
        void work.promise.then(() => res.end('locked'));
      },
    );
    const client = new RawClient(await listen(listener)).get('/slow').get('/locked');
    await begun.promise;
    return { client, slow, work };
  }

  it('have the lock until their own response is ended, though it waits for an earlier one', async () => {
    const { client, slow, work } = await pipelined();
    expect(isHeld('a')).toBe(true);

    work.resolve();
    await isFree('a');
    slow.resolve();
    await expect.poll(() => client.statuses).toEqual([200, 200]);
  });

  it('have it until their response is ended, though the client left before its turn', async () => {
    const { client, work } = await pipelined();

    client.leave();
    await expect.poll(() => client.socket.closed).toBe(true);
    expect(isHeld('a')).toBe(true);

    work.resolve();
    await isFree('a');
  });

  it('lose it after orphanAfterMs, as all do', async () => {
    const begun = deferred();
    const brief = fileLock('a', { namespace, orphanAfterMs: 1 }) as Handler;
    const listener = express5App(
      (req, _res, next) => (req.url === '/slow' ? undefined : next()),
      brief,
      () => begun.resolve(),
    );
    const client = new RawClient(await listen(listener)).get('/slow').get('/locked');
    await begun.promise;
    expect(isHeld('a')).toBe(true);

    client.leave();
    await isFree('a');
  });

  it('exclude each other like any two', async () => {
    const finish = deferred();
    const listener = express5App(guard('a'), (_req, res) => void finish.promise.then(() => res.end()));
    const client = new RawClient(await listen(listener)).get().get();

    await new Promise((resolve) => setImmediate(resolve));
    finish.resolve();
    await expect.poll(() => client.statuses).toEqual([200, 503]);
    await isFree('a');
  });
});

describe('A lock that a request meets again is held until all that is behind it is done', () => {
  /** Answers at once, and works on: gives what tells whether it is at work, and what ends that. */
  function worker() {
    const [begun, end] = [deferred(), deferred()];
    const work: Handler = async (_req, res) => {
      res.end('answered');
      begun.resolve();
      await end.promise;
    };
    return { begun: begun.promise, end: end.resolve, work };
  }
  const lockedHandler = (handler: Handler): Handler => locked('a', handler as never, { namespace }) as Handler;

  it.each<[string, (work: Handler) => Handler[]]>([
    ['locked() in fileLock()', (work) => [guard('a'), lockedHandler(work)]],
    [
      'locked() in locked()',
      (work) => [lockedHandler((_req, _res, next) => Promise.resolve(next())), lockedHandler(work)],
    ],
    ['locked() in two of fileLock()', (work) => [guard('a'), guard('a'), lockedHandler(work)]],
    ['another lock between', (work) => [guard('a'), guard('b'), lockedHandler(work)]],
  ])('%s', async (_what, handlers) => {
    const { begun, end, work } = worker();
    await request(express5App(...handlers(work)))
      .get('/')
      .expect(200, 'answered');
    await begun;
    await isFree('b');

    expect(isHeld('a')).toBe(true);
    end();
    await isFree('a');
  });

  it('fileLock() in locked()', async () => {
    const answer = deferred();
    const outerReturned = deferred();
    const app = express5App(
      lockedHandler(async (_req, _res, next) => {
        next();
        outerReturned.resolve();
        return Promise.resolve();
      }),
      guard('a'),
      (_req, res) => void answer.promise.then(() => res.end('answered')),
    );
    const response = request(app).get('/').expect(200, 'answered');
    const answered = response.then(() => undefined);
    await outerReturned.promise;
    await new Promise((resolve) => setTimeout(resolve, 20));

    expect(isHeld('a')).toBe(true);
    answer.resolve();
    await answered;
    await isFree('a');
  });

  it('unless it throws', async () => {
    const app = express5App(
      guard('a'),
      lockedHandler(() => {
        throw new Error('broken');
      }),
    );

    await request(app).get('/').expect(500);
    await isFree('a');
  });
});

describe('A request whose `lock` cannot be written', () => {
  it('ends in an error, and the lock is free', async () => {
    const readOnly: Handler = (req, _res, next) => {
      Object.defineProperty(req, 'lock', { get: () => undefined });
      return next();
    };
    await request(express5App(readOnly, guard('a'), (_req, res) => void res.end()))
      .get('/')
      .expect(500);

    expect(isHeld('a')).toBe(false);
  });
});
