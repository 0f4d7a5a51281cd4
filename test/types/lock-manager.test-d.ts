// What the compiler makes of requests: the type of their result, and whether the lock can be null.

import { createLocks, locks, LockManager, RLock, type Hold, type LockManagerSnapshot } from 'semlock';
import { describe, expectTypeOf, it } from 'vitest';

describe('locks.request()', () => {
  it('gives what the callback returns, out of its promise', () => {
    expectTypeOf(locks.request('x', () => 7)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(locks.request('x', async () => Promise.resolve('x'))).toEqualTypeOf<Promise<string>>();
    expectTypeOf(locks.request('x', { mode: 'shared' }, ({ token }) => token)).toEqualTypeOf<Promise<number>>();
  });

  it('gives a lock to the callback; null too, where it does not wait', () => {
    void locks.request('x', (lock) => expectTypeOf(lock).toEqualTypeOf<Hold>());
    void locks.request('x', { steal: true }, (lock) => expectTypeOf(lock).toEqualTypeOf<Hold>());
    void locks.request('x', { ifAvailable: true }, (lock) => expectTypeOf(lock).toEqualTypeOf<Hold | null>());
    const ifAvailable = Math.random() > 0.5;
    void locks.request('x', { ifAvailable }, (lock) => expectTypeOf(lock).toEqualTypeOf<Hold | null>());
    expectTypeOf<Hold>().toExtend<AsyncDisposable>();
  });

  it('refuses wrong arguments', () => {
    // @ts-expect-error -- A callback is needed.
    void locks.request('x');
    // @ts-expect-error -- There is no such mode.
    void locks.request('x', { mode: 'exclusiv' }, () => 1);
    // @ts-expect-error -- There is no such option.
    void locks.request('x', { waitMs: 1 }, () => 1);
  });
});

it('managers are made by createLocks() alone', () => {
  expectTypeOf(createLocks({ namespace: 'x' })).toEqualTypeOf<LockManager>();
  // @ts-expect-error -- The constructor is private.
  new LockManager();
  expectTypeOf(locks.query()).toEqualTypeOf<Promise<LockManagerSnapshot>>();
  expectTypeOf<LockManagerSnapshot['pending'][number]['clientId']>().toBeString();
});

it('reentrant locks are held exclusively', () => {
  const lock = new RLock('x');
  expectTypeOf(lock.tryAcquire()).toEqualTypeOf<Hold | null>();
  expectTypeOf(lock.run(() => 7)).toEqualTypeOf<Promise<number>>();
  // @ts-expect-error -- Nor can they be shared.
  void lock.acquire({ mode: 'shared' });
});
