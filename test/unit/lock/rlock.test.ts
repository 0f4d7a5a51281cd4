// A reentrant lock: its owner takes it again, everybody else does not, and another process never sees the difference
// until the last hold is released.

import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { createLocks } from '../../../src/web-locks/lock-manager.js';
import { RLock } from '../../../src/reentrant-lock.js';
import { deferred } from '../../support/deferred.js';
import { failure } from '../../support/failure.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
let names = 0;

/** A lock of its own, and whether somebody who is not its owner finds it free. */
function makeLock() {
  names += 1;
  const name = `lock ${names}`;
  const isFree = () => new Lock(name, { namespace }).tryAcquire()?.release() ?? false;
  return { name, lock: new RLock(name, { namespace }), isFree };
}

describe('within run()', () => {
  it('the lock can be taken again, by all calls and by other objects of its name', async () => {
    const { name, lock, isFree } = makeLock();
    const result = await lock.run(async (outer) => {
      const all = [lock.tryAcquire()!, lock.acquireSync({ timeoutMs: 0 })!, await lock.acquire({ timeoutMs: 0 })];
      all.push(new RLock(name, { namespace }).tryAcquire()!);
      await lock.run((held) => expect(held.token).toBe(outer.token));
      expect(all.map(({ token }) => token)).toEqual(all.map(() => outer.token));
      for (const each of all) expect(each.release()).toBe(true);
      expect(isFree()).toBe(false);
      return 'done';
    });
    expect(result).toBe('done');
    expect(isFree()).toBe(true);
  });

  it('it is free when all is released, in whatever order', async () => {
    const { lock, isFree } = makeLock();
    await lock.run(async (outer) => {
      const inner = await lock.acquire();
      expect([outer.release(), outer.release()]).toEqual([true, false]);
      expect(isFree()).toBe(false);
      expect([inner.release(), inner.release()]).toEqual([true, false]);
      expect(isFree()).toBe(true);
    });
    expect(isFree()).toBe(true);
  });

  it('it is released when the work throws or rejects', async () => {
    const { lock, isFree } = makeLock();
    await expect(
      lock.run(() => {
        throw new Error('thrown');
      }),
    ).rejects.toThrow('thrown');
    await expect(lock.run(() => lock.run(() => Promise.reject(new Error('rejected'))))).rejects.toThrow('rejected');
    expect(isFree()).toBe(true);
  });

  it('tasks that are started there are the owner too', async () => {
    const { lock, isFree } = makeLock();
    let both = 0;
    await lock.run(async () => {
      const task = () =>
        lock.run(async () => {
          both += 1;
          while (both < 2) await nextTurn();
        });
      await Promise.all([task(), task()]);
    });
    expect(both).toBe(2);
    expect(isFree()).toBe(true);
  });

  it('a task that goes on after the work has ended keeps the lock only while it holds it itself', async () => {
    const { lock, isFree } = makeLock();
    const [goOn, tryAgain] = [deferred(), deferred()];
    let late!: Promise<boolean>;
    await lock.run(() => {
      late = (async () => {
        const held = await lock.acquire();
        await goOn.promise;
        held.release();
        await tryAgain.promise;
        return lock.run(() => isFree());
      })();
    });
    expect(isFree()).toBe(false);
    goOn.resolve();
    await expect.poll(isFree).toBe(true);

    // What it inherited is over: it has to wait its turn like anybody.
    const other = new Lock(lock.name, { namespace }).tryAcquire()!;
    tryAgain.resolve();
    expect(await Promise.race([late, nextTurn('waits')])).toBe('waits');
    other.release();
    expect(await late).toBe(false);
  });

  it('other tasks of the thread are shut out: no update of theirs is lost', async () => {
    const { lock } = makeLock();
    const count = async (times: number, run: (work: () => Promise<void>) => Promise<void>) => {
      let total = 0;
      const update = async () => {
        const before = total;
        await nextTurn();
        total = before + 1;
      };
      await Promise.all(Array.from({ length: times }, () => run(() => run(update))));
      return total;
    };
    expect(await count(20, (work) => lock.run(work))).toBe(20);
    expect(await count(20, (work) => work())).toBe(1); // the control
  });

  it('options are checked, and a signal that has aborted counts', async () => {
    const { lock } = makeLock();
    const wrong = { code: 'ERR_SEMLOCK_OPTION' };
    await expect(lock.run(() => 0, { mode: 'shared' } as never)).rejects.toMatchObject(wrong);
    await lock.run(async () => {
      await expect(lock.acquire({ timeoutMs: -1 })).rejects.toMatchObject(wrong);
      await expect(lock.acquire({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
      await expect(lock.run(() => 0, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
      expect(failure(() => lock.acquireSync({ timeoutMs: 1.5 }))).toMatchObject(wrong);
    });
  });
});

describe('what an async context has acquired', () => {
  const outside = AsyncLocalStorage.snapshot();

  it('nobody else can release', async () => {
    const { name, lock, isFree } = makeLock();
    await lock.run((held) => {
      const notOwner = { code: 'ERR_SEMLOCK_NOT_OWNER', lockName: name };
      expect(failure(() => outside(() => held.release()))).toMatchObject(notOwner);
      expect(failure(() => outside(() => held[Symbol.dispose]()))).toMatchObject(notOwner);
      expect(held.released).toBe(false);
      expect(isFree()).toBe(false);
      expect(held.release()).toBe(true);
      // Once it is released there is nothing to be refused.
      expect(outside(() => held.release())).toBe(false);
    });
  });

  it('nobody else can take again', async () => {
    const { lock } = makeLock();
    await lock.run(async () => {
      expect(outside(() => lock.tryAcquire())).toBeNull();
      await expect(outside(() => lock.acquire({ timeoutMs: 1 }))).rejects.toMatchObject({
        code: 'ERR_SEMLOCK_TIMEOUT',
      });
    });
  });

  it('is lost with a theft: the context takes the lock anew, when it can', async () => {
    const { name, lock } = makeLock();
    const robbed = lock.run(async (held) => {
      const lost = new Promise((resolve) => held.signal.addEventListener('abort', resolve));
      const goOn = deferred();
      const thief = createLocks({ namespace }).request(name, { steal: true }, () => goOn.promise);
      await lost;
      expect(lock.tryAcquire()).toBeNull();
      expect(held.release()).toBe(false);
      goOn.resolve();
      await thief;
      expect(await lock.run(({ token }) => token > held.token)).toBe(true);
    });
    await expect(robbed).rejects.toMatchObject({ code: 'ERR_SEMLOCK_LOST', lockName: name });
  });
});

describe('in synchronous code', () => {
  it('the thread is the owner, whatever async context it is in', async () => {
    const { lock, isFree } = makeLock();
    const first = lock.tryAcquire()!;
    const second = lock.acquireSync()!;
    const third = await nextTurn().then(() => lock.tryAcquire()!);
    expect([second.token, third.token]).toEqual([first.token, first.token]);
    expect([first, second].map((held) => held.release())).toEqual([true, true]);
    expect(isFree()).toBe(false);
    expect([third.release(), third.release(), isFree()]).toEqual([true, false, true]);
  });

  it('it can be taken anew after it was released, with a larger token', () => {
    const { lock } = makeLock();
    const tokens = [1, 2].map(() => {
      using held = lock.tryAcquire()!;
      return held.token;
    });
    expect(tokens[1]).toBeGreaterThan(tokens[0]!);
  });

  it('another holder is another holder', () => {
    const { name, lock } = makeLock();
    const other = new Lock(name, { namespace }).tryAcquire()!;
    expect(lock.tryAcquire()).toBeNull();
    expect(lock.acquireSync({ timeoutMs: 1 })).toBeNull();
    other.release();
    expect(lock.tryAcquire()!.release()).toBe(true);
  });
});

describe('acquire() outside of run()', () => {
  it('makes the Held the owner: tasks exclude each other, and anybody who has it can release it', async () => {
    const { lock, isFree } = makeLock();
    const held = await lock.acquire();
    const next = lock.acquire();
    expect(await Promise.race([next, nextTurn('waits')])).toBe('waits');
    expect(AsyncLocalStorage.snapshot()(() => held.release())).toBe(true);
    expect((await next).release()).toBe(true);
    expect(isFree()).toBe(true);
  });
});

it('is made like a Lock, and is the same lock', () => {
  expect(failure(() => new RLock('', { namespace }))).toMatchObject({ code: 'ERR_SEMLOCK_NAME' });
  expect(failure(() => new RLock('x', { permits: 2 } as never))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
  const [lock, same] = [new RLock('x', { namespace }), new Lock('x', { namespace })];
  expect([lock.name, lock.namespace, lock.posixName]).toEqual(['x', namespace, undefined]);
  expect([lock.posixName, same.posixName]).toEqual([undefined, undefined]);
  expect(new RLock('x', { namespace, posixName: '/x' }).posixName).toBe('/x');
});
