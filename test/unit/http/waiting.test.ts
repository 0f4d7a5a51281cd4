// What becomes of a request that finds its lock held elsewhere and may wait for it.

import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, it, onTestFinished, vi } from 'vitest';

import { SemlockError } from '../../../src/errors.js';
import { fileLock } from '../../../src/http/node/file-lock.js';
import type { FileLockOptions } from '../../../src/http/node/types.js';
import { locked } from '../../../src/http/node/locked.js';
import type { Held } from '../../../src/hold.js';
import { Lock } from '../../../src/lock.js';
import type { LockStore, Want } from '../../../src/store.js';
import { deferred } from '../../support/deferred.js';
import { express5App, frameworks, type Framework, type Handler } from '../../support/http-frameworks.js';
import { fakeStore } from '../../support/fake-store.js';
import { startHolder } from '../../support/holder.js';
import { listen, RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const file = new Lock('file', { namespace });
const LONG = 20_000;

/** Holds the lock as a reader does: other readers are let in as long as nobody waits to have it alone. */
const takeElsewhere = (): Held => file.tryAcquire({ mode: 'shared' })!;
const isWaitedFor = (): boolean => file.tryAcquire({ mode: 'shared' })?.release() === undefined;
const isHeld = (lock = file): boolean => lock.tryAcquire()?.release() === undefined;
const becomesFree = (lock = file): Promise<void> => expect.poll(() => isHeld(lock), { interval: 1 }).toBe(false);

interface Setup {
  app: Framework;
  /** Runs before the lock is asked for. */
  before: Handler;
  handler: Handler;
}

const pass: Handler = (_req, _res, next) => next();
const answer: Handler = (req, res) => void res.end(req.url);

/** A server whose requests may wait. Those in `arrived` wait or have passed, and those in `served` have passed. */
async function serve(guard: Handler, { app = express5App, before = pass, handler = answer }: Partial<Setup> = {}) {
  const arrived: string[] = [];
  const served: string[] = [];
  const gone: string[] = [];
  const arrive: Handler = (req, _res, next) => {
    setImmediate(() => arrived.push(req.url!));
    req.socket.once('close', () => gone.push(req.url!));
    return next();
  };
  const serveRequest: Handler = (req, res, next) => {
    served.push(req.url!);
    return handler(req, res, next);
  };
  const port = await listen(app(arrive, before, guard, serveRequest));

  /** Sends a request, and gives it back when it has come to the lock. */
  const send = async (path: string, client = new RawClient(port)) => {
    client.get(path);
    await expect.poll(() => arrived, { interval: 1 }).toContain(path);
    return client;
  };
  /** Until the server has noticed that the client of that path is gone. */
  const noticesLeaving = (path: string) => expect.poll(() => gone, { interval: 1 }).toContain(path);
  return { served, send, noticesLeaving, gone };
}

const guardWith = (options: FileLockOptions = {}) =>
  fileLock({ name: 'file', namespace, waitMs: LONG, ...options }) as Handler;

describe.each(frameworks)('In $name, a request that may wait', ({ app }) => {
  it('is served when the lock comes free', async () => {
    const { send, served } = await serve(guardWith(), { app });
    const elsewhere = takeElsewhere();
    const client = await send('/report');
    expect(isWaitedFor()).toBe(true);
    expect(served).toEqual([]);

    elsewhere.release();
    await expect.poll(() => client.statuses).toEqual([200]);
    await becomesFree();
  });

  it('is told busy when its time has passed, and its handler does not run', async () => {
    const { send, served } = await serve(guardWith({ waitMs: 30 }), { app });
    const elsewhere = takeElsewhere();
    const begun = performance.now();
    const client = await send('/report');
    await expect.poll(() => client.statuses, { interval: 1 }).toEqual([503]);

    expect(performance.now() - begun).toBeGreaterThanOrEqual(30);
    expect(client.received).toContain('Retry-After: 1\r\n');
    expect(client.received).toMatch(/\r\n\r\nbusy$/);
    elsewhere.release();
    await becomesFree();
    expect(served).toEqual([]);
  });

  it.each(['leave', 'reset'] as const)('is forgotten when its client leaves (%s)', async (way) => {
    const { send, served } = await serve(guardWith(), { app });
    const elsewhere = takeElsewhere();
    const client = await send('/left');
    expect(isWaitedFor()).toBe(true);
    client[way]();
    await expect.poll(isWaitedFor, { interval: 1 }).toBe(false);

    elsewhere.release();
    const other = await send('/stayed');
    await expect.poll(() => other.statuses).toEqual([200]);
    expect(served).toEqual(['/stayed']);
  });

  it('gets an error, and not its handler, when the lock cannot be taken after all', async () => {
    const lost = new SemlockError('ERR_SEMLOCK_TABLE_LOST', 'the table is gone');
    const store = storeThat(() => Promise.reject(lost));
    const { send, served } = await serve(guardWith({ store }), { app });
    const client = await send('/report');
    await expect.poll(() => client.statuses).toEqual([503]);
    expect(client.received).toContain('error handler: the table is gone');
    expect(served).toEqual([]);
  });
});

describe('Requests that wait', () => {
  it('are served in the order in which they came', async () => {
    const { send, served } = await serve(guardWith());
    const elsewhere = takeElsewhere();
    const paths = Array.from({ length: 10 }, (_each, index) => `/${index}`);
    const clients: RawClient[] = [];
    for (const path of paths) clients.push(await send(path));

    elsewhere.release();
    await expect.poll(() => clients.flatMap(({ statuses }) => statuses)).toHaveLength(10);
    expect(served).toEqual(paths);
  });

  it('let the next one pass when a client ahead of it leaves', async () => {
    const { send, served, noticesLeaving } = await serve(guardWith());
    const elsewhere = takeElsewhere();
    const first = await send('/first');
    const second = await send('/second');
    first.leave();
    await noticesLeaving('/first');
    elsewhere.release();
    await expect.poll(() => second.statuses).toEqual([200]);
    expect(served).toEqual(['/second']);
  });

  it('do so too while a test has stopped the clock of its app', async () => {
    const { send, served, gone } = await serve(guardWith());
    const elsewhere = takeElsewhere();
    const first = await send('/first');
    const second = await send('/second');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'queueMicrotask'] });
    onTestFinished(() => void vi.useRealTimers());
    first.leave();
    // Not by expect.poll(), which moves the clock that was stopped.
    for (let turn = 0; turn < 1000 && !gone.includes('/first'); turn++) await delay(5);
    elsewhere.release();
    for (let turn = 0; turn < 1000 && second.statuses.length === 0; turn++) await delay(5);
    expect(second.statuses).toEqual([200]);
    expect(served).toEqual(['/second']);
  });

  it('would run the handlers of clients that have left if nobody looked (control)', async () => {
    const naive: Handler = async (_req, _res, next) => {
      const held = await file.acquire();
      next();
      held.release();
    };
    const { send, served, noticesLeaving } = await serve(naive);
    const elsewhere = takeElsewhere();
    const client = await send('/left');
    client.leave();
    await noticesLeaving('/left');
    elsewhere.release();
    await expect.poll(() => served).toEqual(['/left']);
    await becomesFree();
  });

  it('pass at once, without a wait, when the lock is free', async () => {
    const store = storeThat(() => expect.unreachable(), takeElsewhere);
    const { send, served } = await serve(guardWith({ store }));
    await send('/report');
    expect(served).toEqual(['/report']);
    await becomesFree();
  });

  it('wait for names that a function makes, each for its own', async () => {
    const name = (req: { url: string }) => req.url.slice(1);
    const { send, served } = await serve(guardWith({ name }));
    const elsewhere = takeElsewhere();
    const waiting = await send('/file');
    const other = await send('/other');
    await expect.poll(() => other.statuses).toEqual([200]);
    expect(served).toEqual(['/other']);
    elsewhere.release();
    await expect.poll(() => waiting.statuses).toEqual([200]);
  });

  it('wait in front of locked() as well', async () => {
    const work = deferred();
    const guard = locked('file', () => work.promise, { namespace, waitMs: LONG }) as Handler;
    const { send } = await serve(guard);
    const elsewhere = takeElsewhere();
    await send('/report');
    elsewhere.release();
    await expect.poll(() => file.available, { interval: 1 }).toBe(0);
    work.resolve();
    await becomesFree();
  });

  it('keep the async context of their request', async () => {
    const context = new AsyncLocalStorage<string>();
    const { send } = await serve(guardWith(), {
      before: (req, _res, next) => context.run(`context of ${req.url!}`, () => next()),
      handler: (_req, res) => void res.end(context.getStore()),
    });
    const elsewhere = takeElsewhere();
    const clients = [await send('/1'), await send('/2')];
    elsewhere.release();
    await expect
      .poll(() => clients.map(({ received }) => /context of .*/.exec(received)?.[0]))
      .toEqual(['context of /1', 'context of /2']);
  });

  it('give back what they held before when their client leaves', async () => {
    const outer = new Lock('outer', { namespace });
    const { send, served } = await serve(guardWith(), { before: guardWith({ name: 'outer' }) });
    const elsewhere = takeElsewhere();
    const client = await send('/report');
    expect(isHeld(outer)).toBe(true);
    client.leave();
    await becomesFree(outer);
    expect(isWaitedFor()).toBe(false);
    elsewhere.release();
    expect(served).toEqual([]);
  });

  it('stop waiting when somebody else has answered', async () => {
    const { send, served } = await serve(guardWith(), {
      before: (_req, res, next) => {
        setTimeout(() => res.writeHead(504).end(), 20);
        return next();
      },
    });
    const elsewhere = takeElsewhere();
    const client = await send('/report');
    await expect.poll(() => client.statuses).toEqual([504]);
    await expect.poll(isWaitedFor, { interval: 1 }).toBe(false);
    elsewhere.release();
    expect(served).toEqual([]);
  });

  it('are dropped at their turn when they left while an earlier response kept their connection', async () => {
    const { send, served, noticesLeaving } = await serve(guardWith(), {
      before: (req, _res, next) => (req.url === '/slow' ? undefined : next()),
    });
    const elsewhere = takeElsewhere();
    const client = await send('/slow');
    await send('/pipelined', client);
    client.leave();
    await noticesLeaving('/pipelined');
    const other = await send('/other');
    elsewhere.release();
    await expect.poll(() => other.statuses).toEqual([200]);
    expect(served).toEqual(['/other']);
  });
});

describe('A client that leaves just when', () => {
  /** A request whose client has left, and whose wait ends only now, as `end` says. */
  async function waitThatEndsTooLate(
    end: (wait: { resolve: (held: Held | null) => void; reject: (error: Error) => void }) => void,
  ) {
    const wait = deferred<Held | null>();
    let asked: Want | undefined;
    let refused = 0;
    const store = storeThat((options) => {
      asked = options;
      return wait.promise;
    });
    const { send, served } = await serve(guardWith({ store, onBusy: () => (refused += 1) }));
    const client = await send('/report');
    client.leave();
    await expect.poll(() => asked?.signal?.aborted).toBe(true);
    end(wait);
    await new Promise(setImmediate);
    return { served, refused };
  }

  it('the lock is granted gives it back, and its handler does not run', async () => {
    const { served } = await waitThatEndsTooLate(({ resolve }) => resolve(takeElsewhere()));
    expect(served).toEqual([]);
    expect(isHeld()).toBe(false);
  });

  it('its time has passed gets no answer', async () => {
    expect(await waitThatEndsTooLate(({ resolve }) => resolve(null))).toEqual({ served: [], refused: 0 });
  });
});

/** A store whose one lock is waited for as `acquire` says, and held elsewhere unless `tryAcquire` says otherwise. */
function storeThat(
  acquire: (want: Want) => Promise<Held | null>,
  tryAcquire: () => Held | null = () => null,
): LockStore {
  const grantOf = (held: Held | null) => held && { token: held.token, abandoned: false, id: held };
  return fakeStore({
    trySync: () => grantOf(tryAcquire()),
    acquire: async (want) => grantOf(await acquire(want)),
    release: ({ id }) => (id as Held).release(),
  });
}

describe('A handler that throws after its request has waited', () => {
  it.each(frameworks)('is answered by the error handler of $name', async ({ app }) => {
    const holder = takeElsewhere();
    const broken = locked(
      'file',
      () => {
        throw new Error('broken');
      },
      { namespace, waitMs: LONG },
    ) as Handler;
    const port = await listen(app(broken));
    const client = new RawClient(port).get();
    await expect.poll(isWaitedFor).toBe(true);
    holder.release();

    await expect.poll(() => client.received).toContain('broken');
    await becomesFree();
  });
});

describe('A request that is granted its lock when its client has left, which it was not told of', () => {
  it('leaves the news of a death to the next holder', async () => {
    const holder = await startHolder('file', { namespace });
    const { send, served, noticesLeaving } = await serve(guardWith(), {
      before: (req, _res, next) => (req.url === '/slow' ? undefined : next()),
    });
    const client = await send('/slow');
    await send('/pipelined', client); // learns nothing of the end of its connection
    client.leave();
    await noticesLeaving('/pipelined');
    const granted = new Promise((resolve) => {
      subscribe('semlock:waited', resolve);
      onTestFinished(() => void unsubscribe('semlock:waited', resolve));
    });
    await holder.die();
    await granted;
    await new Promise(setImmediate);

    const next = file.tryAcquire();
    expect(served).toEqual([]);
    expect(next?.abandoned).toBe(true);
    next?.release();
  });
});
