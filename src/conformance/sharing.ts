// Readers and writers.

import assert from 'node:assert/strict';

import type { StoreAbilities } from '../store.js';
import type { Tests } from './index.js';
import { giveBack, isFree, take, twoOf, watch } from './support.js';

export const sharing = (can: StoreAbilities): Tests => ({
  'a shared lock is refused': can.share
    ? undefined
    : async (store) => {
        const [lock] = twoOf(store);
        await assert.rejects(lock.acquire({ mode: 'shared' }), { code: 'ERR_SEMLOCK_OPTION', message: /mode/ });
      },

  'readers have it together, and no writer beside them': can.share
    ? async (store) => {
        const [lock, other] = twoOf(store);
        const readers = [await take(lock, 'shared'), await take(other, 'shared')];
        assert.equal(await isFree(lock), false);
        assert.notEqual(readers[0]!.token, readers[1]!.token);
        await giveBack(readers[0]!);
        assert.equal(await isFree(other), false);
        await giveBack(readers[1]!);
        const writer = await take(other);
        assert.equal(await lock.acquire({ mode: 'shared', ifAvailable: true }), null);
        await giveBack(writer);
      }
    : undefined,

  'no reader passes a writer that waits':
    can.share && can.wait
      ? async (store) => {
          const [lock] = twoOf(store);
          const reader = await take(lock, 'shared');
          const writer = watch(lock.acquire());
          const late = watch(lock.acquire({ mode: 'shared' }));
          assert.equal(await lock.acquire({ mode: 'shared', ifAvailable: true }), null);
          assert.deepEqual([writer.settled, late.settled], [false, false]);
          await giveBack(reader);
          const writing = await writer.promise;
          assert.equal(late.settled, false);
          await giveBack(writing);
          await giveBack(await late.promise);
        }
      : undefined,

  'readers that wait behind a writer are served, and all of them':
    can.share && can.wait
      ? async (store) => {
          const [lock] = twoOf(store);
          const writer = await take(lock);
          const readers = Array.from({ length: 5 }, () => lock.acquire({ mode: 'shared' }));
          await giveBack(writer);
          const holds = await Promise.all(readers);
          for (const hold of holds) await giveBack(hold);
        }
      : undefined,
});
