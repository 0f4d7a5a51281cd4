// Waits that their caller ends, at every moment.

import assert from 'node:assert/strict';

import type { StoreAbilities } from '../store.js';
import type { Tests } from './index.js';
import { eventually, giveBack, isFree, take, ticks, twoOf, watch } from './support.js';

export const aborts = (can: StoreAbilities): Tests => ({
  'nothing is asked for when the signal has aborted already': async (store) => {
    const [lock] = twoOf(store);
    const signal = AbortSignal.abort('too late');
    await assert.rejects(lock.acquire({ signal }), (reason) => reason === 'too late');
    assert.equal(await isFree(lock), true);
  },

  'a wait that is aborted rejects with the reason, and those behind it are served': can.wait
    ? async (store) => {
        const [lock, other] = twoOf(store);
        const hold = await take(lock);
        const controller = new AbortController();
        const aborted = lock.acquire({ signal: controller.signal });
        const behind = watch(lock.acquire());
        controller.abort('gone');
        await assert.rejects(aborted, (reason) => reason === 'gone');
        assert.equal(behind.settled, false);
        await giveBack(hold);
        await giveBack(await behind.promise);
        await eventually('nobody waits any more', () => isFree(other));
      }
    : undefined,

  'a signal that aborts just before, as or after the lock is granted loses no permit': can.wait
    ? async (store) => {
        const [lock, other] = twoOf(store);
        for (let delay = -1; delay < 12; delay += 1) {
          const hold = await lock.acquire(); // the one who gave up before may still be leaving the line
          const controller = new AbortController();
          const waiting = other.acquire({ signal: controller.signal }).catch(() => null);
          await new Promise(setImmediate);
          if (delay < 0) controller.abort();
          const released = giveBack(hold);
          if (delay >= 0) await ticks(delay);
          controller.abort();
          await released;
          const next = await waiting;
          if (next !== null) await giveBack(next);
          await eventually('the lock is free', () => isFree(lock));
        }
      }
    : undefined,

  'one signal ends many waits': can.wait
    ? async (store) => {
        const [lock] = twoOf(store);
        const hold = await take(lock);
        const controller = new AbortController();
        const all = Array.from({ length: 100 }, () => lock.acquire({ signal: controller.signal }));
        const stays = watch(lock.acquire());
        controller.abort();
        const outcomes = await Promise.allSettled(all);
        assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 100);
        await giveBack(hold);
        await giveBack(await stays.promise);
      }
    : undefined,

  'a signal that aborts when the lock is held changes nothing': async (store) => {
    const [lock, other] = twoOf(store);
    const controller = new AbortController();
    const hold = await lock.acquire({ ifAvailable: true, signal: controller.signal });
    assert.ok(hold);
    controller.abort();
    await ticks(5);
    assert.deepEqual([await isFree(other), hold.released, hold.lost], [false, false, undefined]);
    await giveBack(hold);
  },
});
