// The rules of the Web Locks API, seen by one client. What several processes see is in test/integration/locks.

import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it, vi } from 'vitest';

import type { Hold } from '../../../src/hold.js';
import { Lock } from '../../../src/lock.js';
import { createLocks, locks as defaultLocks } from '../../../src/web-locks/lock-manager.js';
import { Semaphore } from '../../../src/semaphore.js';
import { addon } from '../../../src/native.js';
import { deferred } from '../../support/deferred.js';
import { startHolder } from '../../support/holder.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const locks = createLocks({ namespace });
const isFree = (name: string) => new Lock(name, { namespace }).tryAcquire()?.release() ?? false;
const never = () => expect.unreachable('the callback was called');

/** Requests the lock and holds it until told otherwise. */
async function take(name: string, options: { mode?: 'exclusive' | 'shared'; steal?: true; permits?: number } = {}) {
  const [granted, end] = [deferred<Hold>(), deferred<string>()];
  const done = locks.request(name, options as object, (lock) => {
    granted.resolve(lock!);
    return end.promise;
  });
  done.catch(granted.reject);
  return { lock: await granted.promise, done, end: () => end.resolve('ended') };
}

/** The name of a lock of its own. */
let names = 0;
const fresh = () => `lock ${(names += 1)}`;

describe('a granted lock', () => {
  it('tells its name, its mode, its token, and that nothing is wrong with it', async () => {
    const name = fresh();
    const { lock, done, end } = await take(name, { mode: 'shared' });
    expect(lock).toMatchObject({ name, mode: 'shared', abandoned: false });
    expect(Number.isSafeInteger(lock.token)).toBe(true);
    expect(lock.signal.aborted).toBe(false);
    end();
    expect(await done).toBe('ended');
    expect(lock.signal.aborted).toBe(false);
  });

  it('has a larger token each time', async () => {
    const name = fresh();
    const first = await locks.request(name, ({ token }) => token);
    expect(await locks.request(name, ({ token }) => token)).toBeGreaterThan(first);
  });

  it('can be given back before the callback ends', async () => {
    const name = fresh();
    const free = await locks.request(name, async (lock) => {
      {
        await using _ = lock;
        expect(isFree(name)).toBe(false);
      }
      return isFree(name);
    });
    expect(free).toBe(true);
  });

  it('is the lock that new Lock() of its name is', async () => {
    const name = fresh();
    const held = new Lock(name, { namespace }).tryAcquire()!;
    expect(await locks.request(name, { ifAvailable: true }, (lock) => lock)).toBeNull();
    const request = locks.request(name, () => isFree(name));
    held.release();
    expect(await request).toBe(false);
  });
});

describe('the callback', () => {
  it('is called in a task of its own, though the lock is free', async () => {
    const order: string[] = [];
    const request = locks.request(fresh(), () => order.push('callback'));
    order.push('request');
    queueMicrotask(() => order.push('microtask'));
    await request;
    expect(order).toEqual(['request', 'microtask', 'callback']);
  });

  it('has the lock until its promise fulfills or rejects; the request settles like that, after the release', async () => {
    for (const fails of [false, true]) {
      const name = fresh();
      const end = deferred<number>();
      const request = locks.request(name, () => end.promise);
      const whenSettled = request.then(
        (result) => [result, isFree(name)],
        (error: unknown) => [error, isFree(name)],
      );
      await nextTurn();
      expect(isFree(name)).toBe(false);
      const error = new Error('mine');
      if (fails) end.reject(error);
      else end.resolve(7);
      expect(await whenSettled).toEqual([fails ? error : 7, true]);
    }
  });

  it('that throws at once rejects the request, and the lock is free', async () => {
    const name = fresh();
    const request = locks.request(name, () => {
      throw new Error('mine');
    });
    await expect(request).rejects.toThrow('mine');
    expect(isFree(name)).toBe(true);
    await expect(locks.request(name, () => 'next')).resolves.toBe('next');
  });

  it('may return any thenable, and throw one, which is left alone', async () => {
    const name = fresh();
    const thenable = { then: (resolve: (value: string) => void) => resolve('told') };
    expect(await locks.request(name, () => thenable)).toBe('told');

    const thrown = { then: vi.fn() };
    const request = locks.request(name, () => {
      throw thrown;
    });
    expect(await request.catch((error: unknown) => error === thrown)).toBe(true);
    expect(thrown.then).not.toHaveBeenCalled();
  });

  it('runs in the async context of its request, also after a wait', async () => {
    const [name, context] = [fresh(), new AsyncLocalStorage<string>()];
    const holder = await take(name);
    const waits = context.run('waits', () => locks.request(name, () => context.getStore()));
    context.run('elsewhere', holder.end);
    expect(await waits).toBe('waits');
  });
});

describe('requests for a name', () => {
  it('are served in their order, one at a time', async () => {
    const [name, order] = [fresh(), [] as number[]];
    let inside = 0;
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        locks.request(name, async () => {
          inside += 1;
          expect(inside).toBe(1);
          order.push(index);
          await nextTurn();
          inside -= 1;
        }),
      ),
    );
    expect(order).toEqual(Array.from({ length: 200 }, (_, index) => index));
  });

  it('do not keep those for other names waiting', async () => {
    const holder = await take(fresh());
    expect(await locks.request(fresh(), () => 'other')).toBe('other');
    holder.end();
  });

  it.each([
    ['in the turn of the requests', (end: () => void) => end()],
    ['in a later turn', (end: () => void) => void setImmediate(end)],
  ])(
    'are called back in the order of the grants, also those of other names, after a release %s',
    async (_when, then) => {
      const [a, b, order] = [fresh(), fresh(), [] as string[]];
      const holder = await take(a);
      const later = [locks.request(a, () => order.push('a')), locks.request(b, () => order.push('b'))];
      then(holder.end);
      await Promise.all(later);
      expect(order).toEqual(['b', 'a']);
    },
  );

  it('enter together when they are shared, but not past an exclusive one that waits', async () => {
    const name = fresh();
    const readers = [await take(name, { mode: 'shared' }), await take(name, { mode: 'shared' })];
    const order: string[] = [];
    const hold = async (who: string) => {
      order.push(`${who} enters`);
      await nextTurn();
      order.push(`${who} leaves`);
    };
    const later = [
      locks.request(name, () => hold('writer')),
      locks.request(name, { mode: 'shared' }, () => hold('reader 3')),
      locks.request(name, { mode: 'shared' }, () => hold('reader 4')),
    ];
    readers[0]!.end();
    await nextTurn();
    expect(order).toEqual([]);
    readers[1]!.end();
    await Promise.all(later);
    expect(order.slice(0, 2)).toEqual(['writer enters', 'writer leaves']);
    expect(order.slice(2, 4).sort()).toEqual(['reader 3 enters', 'reader 4 enters']);
  });

  it('wait for each other when one is made within another', async () => {
    const name = fresh();
    let inner!: Promise<string>;
    await locks.request(name, () => {
      inner = locks.request(name, () => 'inner');
    });
    expect(await inner).toBe('inner');
  });
});

describe('ifAvailable', () => {
  it('grants a free lock', async () => {
    expect(await locks.request(fresh(), { ifAvailable: true }, (lock) => lock?.mode)).toBe('exclusive');
  });

  it('gives null for one that is held, and the callback has the say in what comes of it', async () => {
    const name = fresh();
    const holder = await take(name);
    expect(await locks.request(name, { ifAvailable: true }, (lock) => [lock])).toEqual([null]);
    const failing = locks.request(name, { ifAvailable: true }, (lock) => {
      throw new Error(lock === null ? 'got null' : 'got the lock');
    });
    await expect(failing).rejects.toThrow('got null');
    await expect(locks.request(name, { ifAvailable: true }, () => Promise.reject(new Error('later')))).rejects.toThrow(
      'later',
    );
    holder.end();
    await holder.done;
    expect(await locks.request(name, { ifAvailable: true }, (lock) => lock !== null)).toBe(true);
  });

  it.each([
    ['shared', 'shared', true],
    ['shared', 'exclusive', false],
    ['exclusive', 'shared', false],
  ] as const)('on a lock that is held %s, asked for %s: %j', async (held, mode, available) => {
    const name = fresh();
    const holder = await take(name, { mode: held });
    expect(await locks.request(name, { mode, ifAvailable: true }, (lock) => lock !== null)).toBe(available);
    holder.end();
  });

  it('gives null to a reader where a writer waits, though only readers have the lock', async () => {
    const name = fresh();
    const reader = await take(name, { mode: 'shared' });
    const writer = locks.request(name, () => 'wrote');
    expect(await locks.request(name, { mode: 'shared', ifAvailable: true }, (lock) => lock)).toBeNull();
    reader.end();
    expect(await writer).toBe('wrote');
  });
});

describe('a request that is aborted when it was granted, and before its callback', () => {
  it('leaves the news of a death to the next holder', async () => {
    const name = fresh();
    const holder = await startHolder(name, { namespace });
    await holder.die();
    const controller = new AbortController();
    const request = locks.request(name, { signal: controller.signal }, never);
    controller.abort('enough');
    await expect(request).rejects.toBe('enough');

    const held = await locks.request(name, ({ abandoned }) => abandoned);
    expect(held).toBe(true);
  });
});

describe('a lock that cannot be watched for a theft', () => {
  it('is not kept, and the callback is not called', async () => {
    const name = fresh();
    vi.spyOn(addon(), 'lockWatch').mockImplementationOnce(() => {
      throw new Error('no descriptor left');
    });

    await expect(locks.request(name, never)).rejects.toThrow('no descriptor left');
    expect(isFree(name)).toBe(true);
  });
});

describe('steal', () => {
  it.each([false, true])('rejects who has not begun yet, whether or not (%s) somebody listens', async (listens) => {
    const name = fresh();
    const listener = () => undefined;
    if (listens) subscribe('semlock:lost', listener);
    const robbed = locks.request(name, () => 'resolved');
    const thief = locks.request(name, { steal: true }, () => 'stole');

    await expect(robbed).rejects.toMatchObject({ name: 'AbortError' });
    expect(await thief).toBe('stole');
    unsubscribe('semlock:lost', listener);
  });

  it('grants a free lock', async () => {
    expect(await locks.request(fresh(), { steal: true }, ({ mode }) => mode)).toBe('exclusive');
  });

  it('takes the lock from all who have it: their requests reject with an AbortError, and their signals abort', async () => {
    const name = fresh();
    const readers = [await take(name, { mode: 'shared' }), await take(name, { mode: 'shared' })];
    const order: string[] = [];
    for (const { done } of readers) done.catch((error: unknown) => order.push((error as DOMException).name));
    const thief = await take(name, { steal: true });
    order.push('granted');

    for (const { lock, done } of readers) {
      await expect(done).rejects.toBeInstanceOf(DOMException);
      expect(lock.signal.aborted).toBe(true);
      expect(lock.token).toBeLessThan(thief.lock.token);
    }
    expect(order).toEqual(['AbortError', 'AbortError', 'granted']);
    expect(thief.lock).toMatchObject({ mode: 'exclusive', abandoned: false });
    thief.end();
    expect(await thief.done).toBe('ended');
  });

  it('leaves nothing to the late release of who was robbed, and nothing to what its callback comes to', async () => {
    const name = fresh();
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    const end = deferred();
    const robbed = expect(locks.request(name, () => end.promise)).rejects.toMatchObject({ name: 'AbortError' });
    const thief = await take(name, { steal: true });
    await robbed;
    end.reject(new Error('too late'));
    await nextTurn();
    await nextTurn();
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(isFree(name)).toBe(false);
    thief.end();
    await thief.done;
    expect(isFree(name)).toBe(true);
  });

  it('comes before all who wait; they are served afterwards', async () => {
    const [name, order] = [fresh(), [] as string[]];
    const holder = await take(name);
    const waits = locks.request(name, () => order.push('waited'));
    const thief = locks.request(name, { steal: true }, () => order.push('stole'));
    await expect(holder.done).rejects.toMatchObject({ name: 'AbortError' });
    await Promise.all([waits, thief]);
    expect(order).toEqual(['stole', 'waited']);
  });

  it('can be done to a thief', async () => {
    const name = fresh();
    const first = await take(name, { steal: true });
    const second = await take(name, { steal: true });
    await expect(first.done).rejects.toMatchObject({ name: 'AbortError' });
    second.end();
    expect(await second.done).toBe('ended');
  });

  it('also takes what new Lock() holds, whose signal aborts', async () => {
    const name = fresh();
    const held = new Lock(name, { namespace }).tryAcquire()!;
    expect(held.signal.aborted).toBe(false);
    await locks.request(name, { steal: true }, () => {
      expect(held.signal.aborted).toBe(true);
      expect(held.release()).toBe(false);
      expect(isFree(name)).toBe(false);
    });
  });
});

describe('a signal', () => {
  it('that has aborted before: the request rejects with its reason, whatever that is', async () => {
    await expect(locks.request(fresh(), { signal: AbortSignal.abort('reason') }, never)).rejects.toBe('reason');
    const signal = AbortSignal.abort();
    await expect(locks.request(fresh(), { signal }, never)).rejects.toBe(signal.reason);
  });

  it('that aborts while the request waits ends it with its reason', async () => {
    const [name, controller] = [fresh(), new AbortController()];
    const holder = await take(name);
    const waits = locks.request(name, { signal: controller.signal }, never);
    await nextTurn();
    controller.abort();
    await expect(waits).rejects.toBe(controller.signal.reason);
    holder.end();
    await holder.done;
    expect(isFree(name)).toBe(true);
  });

  it('that aborts right after the request ends it too, though the lock was free', async () => {
    const [name, controller] = [fresh(), new AbortController()];
    const request = locks.request(name, { signal: controller.signal }, never);
    await Promise.resolve();
    controller.abort('changed my mind');
    await expect(request).rejects.toBe('changed my mind');
    expect(await locks.request(name, () => 'next')).toBe('next');
  });

  it('that aborts once the lock is granted changes nothing', async () => {
    const [name, controller] = [fresh(), new AbortController()];
    const result = await locks.request(name, { signal: controller.signal }, async (lock) => {
      controller.abort();
      await nextTurn();
      return [lock.signal.aborted, isFree(name)];
    });
    expect(result).toEqual([false, false]);
  });

  it('that ends the wait of a writer lets the readers behind it in', async () => {
    const [name, controller] = [fresh(), new AbortController()];
    const reader = await take(name, { mode: 'shared' });
    const writer = locks.request(name, { signal: controller.signal }, never);
    const next = locks.request(name, { mode: 'shared' }, () => 'read');
    controller.abort();
    await expect(writer).rejects.toMatchObject({ name: 'AbortError' });
    expect(await next).toBe('read');
    reader.end();
  });

  it('may be shared by requests, of which it ends those that wait', async () => {
    const [name, { signal }, end] = [fresh(), new AbortController(), deferred()];
    const controller = new AbortController();
    const all = Array.from({ length: 200 }, () =>
      locks.request(name, { signal: AbortSignal.any([signal, controller.signal]) }, () => end.promise),
    );
    const one = new AbortController();
    const alike = Array.from({ length: 200 }, () => locks.request(name, { signal: one.signal }, never));
    const last = locks.request(name, () => 'last');
    await nextTurn();
    one.abort('reason');
    controller.abort('reason');
    end.resolve();
    const outcomes = await Promise.allSettled([...all, ...alike]);
    expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(399);
    expect(await last).toBe('last');
  });
});

describe('names', () => {
  it('are UTF-16 as it is: those that differ in any code unit are different locks', async () => {
    const some = ['', ' ', '\0', 'a', 'a\0', 'a\0b', '\ud800', '\udc00', '\ufffd', '\ud800\udc00', 'é', 'e\u0301', 'É'];
    const held = await Promise.all(some.map((name) => take(name)));
    expect(held.map(({ lock }) => lock.name)).toEqual(some);
    const { held: shown } = await locks.query();
    expect(shown.map(({ name }) => name).sort()).toEqual([...some].sort());
    for (const each of held) each.end();
    await Promise.all(held.map(({ done }) => done));
    expect(await locks.request('', ({ name }) => name)).toBe('');
  });
});

describe('beyond the specification', () => {
  it('timeoutMs ends the wait: a try with 0, and without effect once the lock is granted', async () => {
    const name = fresh();
    const timeout = { code: 'ERR_SEMLOCK_TIMEOUT', lockName: name };
    expect(await locks.request(name, { timeoutMs: 0 }, () => nextTurn('granted'))).toBe('granted');
    const holder = await take(name);
    await expect(locks.request(name, { timeoutMs: 0 }, never)).rejects.toMatchObject(timeout);
    await expect(locks.request(name, { timeoutMs: 5 }, never)).rejects.toMatchObject(timeout);
    holder.end();
  });

  it('permits let several in, on which all users of a name must agree', async () => {
    const name = fresh();
    const two = [await take(name, { permits: 2 }), await take(name, { permits: 2 })];
    expect(new Semaphore(name, { namespace, permits: 2 }).tryAcquire()).toBeNull();
    expect(await locks.request(name, { permits: 2, ifAvailable: true }, (lock) => lock)).toBeNull();
    const mismatch = { code: 'ERR_SEMLOCK_MISMATCH' };
    await expect(locks.request(name, never)).rejects.toMatchObject(mismatch);
    await expect(locks.request(name, { permits: 3, ifAvailable: true }, never)).rejects.toMatchObject(mismatch);
    await expect(locks.request(name, { permits: 3, steal: true }, never)).rejects.toMatchObject(mismatch);
    await expect(locks.request(name, { permits: 2, mode: 'shared' }, never)).rejects.toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
    });
    for (const each of two) each.end();
  });

  it('locks of another namespace are other locks; those of the default one are app-wide', async () => {
    const name = fresh();
    const holder = await take(name);
    expect(await createLocks({ namespace: scratchNamespace() }).request(name, () => 'other')).toBe('other');

    vi.stubEnv('SEMLOCK_NAMESPACE', namespace);
    expect(await defaultLocks.request(name, { ifAvailable: true }, (lock) => lock)).toBeNull();
    expect(await createLocks().request(name, { ifAvailable: true }, (lock) => lock)).toBeNull();
    vi.unstubAllEnvs();
    holder.end();
  });
});

describe('query()', () => {
  it('shows what is held and what waits, of one name in the order of the requests', async () => {
    const name = fresh();
    const before = Date.now();
    const holder = await take(name);
    const modes = ['shared', 'exclusive', 'shared', 'shared'] as const;
    const waiting = modes.map((mode) => locks.request(name, { mode }, () => 0));

    const snapshot = await locks.query();
    const [held, pending] = [snapshot.held, snapshot.pending].map((all) => all.filter((each) => each.name === name));
    expect(held).toHaveLength(1);
    const { clientId, since } = held![0]!;
    expect(clientId).not.toBe('');
    expect(pending).toEqual(
      modes.map((mode) => ({ name, mode, clientId, pid: process.pid, since: expect.any(Date) as Date })),
    );
    for (const each of [since, ...pending!.map((info) => info.since)]) {
      expect(each.getTime()).toBeGreaterThan(before - 20);
      expect(each.getTime()).toBeLessThanOrEqual(Date.now());
    }
    holder.end();
    await Promise.all(waiting);
    const after = await locks.query();
    expect([...after.held, ...after.pending].filter((each) => each.name === name)).toEqual([]);
  });

  it('shows 64 requests of one client for one name, all of which it serves in order', async () => {
    const [name, order] = [fresh(), [] as number[]];
    const holder = await take(name);
    const waiting = Array.from({ length: 100 }, (_, index) => locks.request(name, () => order.push(index)));
    expect((await locks.query()).pending.filter((each) => each.name === name)).toHaveLength(64);
    holder.end();
    await Promise.all(waiting);
    expect(order).toEqual(Array.from({ length: 100 }, (_, index) => index));
  });

  it('shows no request that was given up, and no ifAvailable', async () => {
    const [name, controller] = [fresh(), new AbortController()];
    const holder = await take(name);
    const waits = locks.request(name, { signal: controller.signal }, never).catch(() => 0);
    const refused = locks.request(name, { ifAvailable: true }, () => 0);
    controller.abort();
    expect((await locks.query()).pending.filter((each) => each.name === name)).toEqual([]);
    await Promise.all([waits, refused]);
    holder.end();
  });

  it('shows who waits with Lock.acquire(), the first of each thread', async () => {
    const name = fresh();
    const holder = await take(name);
    const lock = new Lock(name, { namespace });
    const waits = [lock.acquire(), lock.acquire()];
    expect((await locks.query()).pending.filter((each) => each.name === name)).toHaveLength(1);
    holder.end();
    for (const each of waits) (await each).release();
  });
});
