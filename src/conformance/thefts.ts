// Locks that are taken from their holder.

import assert from 'node:assert/strict';

import { createLocks } from '../web-locks/lock-manager.js';
import type { StoreAbilities } from '../store.js';
import type { Tests } from './index.js';
import { eventually, giveBack, isFree, take, twoOf, watch } from './support.js';

export const thefts = (can: StoreAbilities): Tests =>
  can.steal
    ? {
        'the robbed holder is told, and its release changes nothing': async (store) => {
          const [lock, other] = twoOf(store);
          const locks = createLocks({ namespace: lock.namespace, store: store() });
          const robbed = await take(lock);
          const { signal } = robbed;
          await locks.request(lock.name, { steal: true }, async ({ token }) => {
            assert.ok(token > robbed.token);
            await eventually('the signal aborts', () => signal.aborted);
            assert.deepEqual([robbed.lost?.code, signal.reason], ['ERR_SEMLOCK_LOST', robbed.lost]);
            robbed.release();
            await giveBack(robbed);
            assert.equal(await isFree(other), false);
          });
          assert.equal(await isFree(other), true);
        },

        'run() rejects when its work ended after the loss': async (store) => {
          const [lock] = twoOf(store);
          const locks = createLocks({ namespace: lock.namespace, store: store() });
          const work = lock.run(async ({ signal }) => {
            const stolen = locks.request(lock.name, { steal: true }, () => undefined);
            await eventually('the signal aborts', () => signal.aborted);
            await stolen;
          });
          await assert.rejects(work, { code: 'ERR_SEMLOCK_LOST', lockName: lock.name });
          assert.equal(await isFree(lock), true);
        },

        'a loss that nobody watched for is found by the release': async (store) => {
          const [lock] = twoOf(store);
          const locks = createLocks({ namespace: lock.namespace, store: store() });
          const robbed = await take(lock);
          await locks.request(lock.name, { steal: true }, () => undefined);
          await giveBack(robbed);
          assert.equal(robbed.lost?.code, 'ERR_SEMLOCK_LOST');
          assert.equal(robbed.signal.aborted, true);
        },

        'the thief passes those who wait, who are served after it': async (store) => {
          const [lock] = twoOf(store);
          const locks = createLocks({ namespace: lock.namespace, store: store() });
          await take(lock);
          const waiting = watch(lock.acquire());
          await locks.request(lock.name, { steal: true }, () => assert.equal(waiting.settled, false));
          await giveBack(await waiting.promise);
          assert.equal(await isFree(lock), true);
        },
      }
    : {};
