// Who may have a lock, and which lock that is.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { Lock } from '../lock.js';
import { RLock } from '../reentrant-lock.js';
import { Semaphore } from '../semaphore.js';
import type { StoreAbilities } from '../store.js';
import type { Tests } from './index.js';
import { giveBack, isFree, take, twoOf, twoSemaphores } from './support.js';

const NAMES = [
  ' ',
  '\0',
  'a',
  'a\0',
  'a\0b',
  '\ud800',
  '\udc00',
  '\ufffd',
  '\ud800\udc00',
  'é',
  'e\u0301',
  'É',
  '/',
  '%',
  "'",
];

export const basics = (can: StoreAbilities): Tests => ({
  'one holder at a time has a lock': async (store) => {
    const [lock, other] = twoOf(store);
    const hold = await take(lock);
    assert.equal(await other.acquire({ ifAvailable: true }), null);
    await giveBack(hold);
    await giveBack(await take(other));
  },

  'work that is done under a lock loses no change': async (store) => {
    const locks = twoOf(store);
    let [count, inside] = [0, 0];
    const change = async (): Promise<void> => {
      inside += 1;
      assert.equal(inside, 1);
      const read = count;
      await new Promise(setImmediate);
      count = read + 1;
      inside -= 1;
    };
    const works = Array.from({ length: 10 }, async (_, number) => {
      for (let round = 0; round < 5; round += 1) {
        for (let hold = null; hold === null;) {
          const lock = locks[number % 2]!;
          hold = can.wait ? await lock.acquire() : await lock.acquire({ ifAvailable: true });
          if (hold === null) continue;
          await change();
          await giveBack(hold);
        }
      }
    });
    await Promise.all(works);
    assert.equal(count, 50);
  },

  'names that differ in any code unit, and namespaces, are different locks': async (store) => {
    const namespace = randomUUID();
    const locks = NAMES.map((name) => new Lock(name, { namespace, store: store() }));
    locks.push(new Lock('a', { namespace: randomUUID(), store: store() }));
    const holds = [];
    for (const lock of locks) holds.push(await take(lock));
    assert.deepEqual(
      holds.map(({ name }) => name),
      [...NAMES, 'a'],
    );
    for (const hold of holds) await giveBack(hold);
  },

  'tokens are safe integers that grow from holder to holder': async (store) => {
    const locks = twoOf(store);
    let last = 0;
    for (let round = 0; round < 20; round += 1) {
      const hold = await take(locks[round % 2]!);
      assert.ok(Number.isSafeInteger(hold.token) && hold.token > last, `${hold.token} after ${last}`);
      last = hold.token;
      await giveBack(hold);
    }
  },

  'a holder that is new has what nobody died with': async (store) => {
    const [lock] = twoOf(store);
    const hold = await take(lock);
    assert.deepEqual([hold.abandoned, hold.released, hold.lost, hold.mode], [false, false, undefined, 'exclusive']);
    assert.equal(hold.signal.aborted, false);
    await giveBack(hold);
    assert.deepEqual([hold.released, hold.lost, hold.signal.aborted], [true, undefined, false]);
  },

  'only the first release counts': async (store) => {
    const [lock, other] = twoOf(store);
    const hold = await take(lock);
    await giveBack(hold);
    const next = await take(other);
    assert.equal(hold.release(), false);
    await giveBack(hold);
    assert.equal(await isFree(lock), false);
    await giveBack(next);
  },

  'run() has the lock until its work has settled, whatever becomes of that': async (store) => {
    const [lock, other] = twoOf(store);
    const now = can.wait ? {} : { timeoutMs: 0 };
    assert.equal(await lock.run(async () => isFree(other), now), false);
    assert.equal(await isFree(other), true);
    await assert.rejects(
      lock.run(() => {
        throw new RangeError('the work failed');
      }, now),
      RangeError,
    );
    assert.equal(await isFree(other), true);
  },

  'a reentrant lock lets its owner in again, and nobody else': async (store) => {
    const namespace = randomUUID();
    const [mine, other] = [0, 1].map(() => new RLock('file', { namespace, store: store() })) as [RLock, RLock];
    const lock = new Lock('file', { namespace, store: store() });
    const now = can.wait ? {} : { timeoutMs: 0 };
    await mine.run(async () => {
      await mine.run(async () => assert.equal(await isFree(lock), false), now);
      assert.equal(await isFree(lock), false);
    }, now);
    assert.equal(await isFree(lock), true);
    const hold = await take(lock);
    assert.equal(await other.acquire({ ifAvailable: true }), null);
    await giveBack(hold);
  },

  'a lock that its owner has closed stays held, and can be used again': async (store) => {
    const namespace = randomUUID();
    const opened = store().open({ namespace, name: 'file', permits: 1, keyed: true });
    const grant = await opened.acquire({ mode: 'exclusive', waitMs: 0 });
    assert.ok(grant);
    const { token, abandoned, id } = grant;
    opened.close?.();
    const lock = new Lock('file', { namespace, store: store() });
    assert.equal(await isFree(lock), false);
    assert.equal(await opened.release({ token, abandoned, id }, false), true);
    assert.equal(await isFree(lock), true);
    const again = await opened.acquire({ mode: 'exclusive', waitMs: 0 });
    assert.ok(again);
    await opened.release(again, true);
  },

  'as many as it has permits have a semaphore': can.permits
    ? async (store) => {
        const [one, other] = twoSemaphores(store, 3);
        const holds = [await take(one), await take(other), await take(one)];
        assert.equal(await isFree(other), false);
        await giveBack(holds.pop()!);
        assert.equal(await isFree(other), true);
        for (const hold of holds) await giveBack(hold);
      }
    : undefined,

  'all users of a lock must give the same number of permits': can.permits
    ? async (store) => {
        const [semaphore] = twoSemaphores(store, 2);
        const hold = await take(semaphore);
        const wrong = new Semaphore('file', { namespace: semaphore.namespace, permits: 3, store: store() });
        await assert.rejects(wrong.acquire({ ifAvailable: true }), { code: 'ERR_SEMLOCK_MISMATCH' });
        await giveBack(hold);
      }
    : undefined,

  'it answers at once': can.sync
    ? async (store) => {
        const [lock, other] = twoOf(store);
        const hold = lock.tryAcquire();
        assert.ok(hold);
        assert.deepEqual([other.tryAcquire(), other.available], [null, 0]);
        const start = performance.now();
        assert.equal(other.acquireSync({ timeoutMs: 20 }), null);
        assert.ok(performance.now() - start >= 19);
        assert.throws(() => other.acquireSync(), { code: 'ERR_SEMLOCK_DEADLOCK' });
        assert.deepEqual([hold.release(), hold.release(), other.available], [true, false, 1]);
        await giveBack(other.acquireSync()!);
      }
    : async (store) => {
        const [lock] = twoOf(store);
        assert.throws(() => lock.tryAcquire(), { code: 'ERR_SEMLOCK_STORE', message: /await acquire/ });
        assert.throws(() => lock.acquireSync(), { code: 'ERR_SEMLOCK_STORE', message: /await acquire/ });
        await giveBack(await take(lock));
      },
});
