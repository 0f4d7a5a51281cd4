// Who is served when.

import assert from 'node:assert/strict';

import { createLocks } from '../web-locks/lock-manager.js';
import type { StoreAbilities } from '../store.js';
import type { Tests } from './index.js';
import { eventually, giveBack, isFree, pause, take, twoOf, twoSemaphores, watch } from './support.js';

export const waits = (can: StoreAbilities): Tests =>
  can.wait
    ? {
        'those who wait are served in the order in which they came': async (store) => {
          const [lock] = twoOf(store);
          const hold = await take(lock);
          const order: number[] = [];
          const all = Array.from({ length: 10 }, async (_, number) => {
            const mine = await lock.acquire();
            order.push(number);
            await giveBack(mine);
          });
          await giveBack(hold);
          await Promise.all(all);
          assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        },

        'no try passes somebody who waits': async (store) => {
          const [lock, other] = twoOf(store);
          const hold = await take(lock);
          const waiting = lock.acquire();
          const released = giveBack(hold);
          assert.equal(await lock.acquire({ ifAvailable: true }), null);
          await released;
          const next = await waiting;
          assert.equal(await isFree(other), false);
          await giveBack(next);
        },

        'a wait ends when its time is over, not before, and leaves nothing behind': async (store) => {
          const [lock, other] = twoOf(store);
          const hold = await take(lock);
          const start = performance.now();
          await assert.rejects(other.acquire({ timeoutMs: 40 }), { code: 'ERR_SEMLOCK_TIMEOUT' });
          assert.ok(performance.now() - start >= 38);
          await assert.rejects(other.acquire({ timeoutMs: 0 }), { code: 'ERR_SEMLOCK_TIMEOUT' });
          await giveBack(hold);
          await eventually('nobody waits any more', () => isFree(other));
        },

        'one who gives up lets those behind have their turn': async (store) => {
          const [lock] = twoOf(store);
          const hold = await take(lock);
          const givesUp = lock.acquire({ timeoutMs: 20 });
          const stays = watch(lock.acquire({ timeoutMs: 10_000 }));
          await assert.rejects(givesUp);
          assert.equal(stays.settled, false);
          await giveBack(hold);
          await giveBack(await stays.promise);
        },

        'a grant that comes as the time runs out is given back, or given': async (store) => {
          const [lock, other] = twoOf(store);
          for (let round = 0; round < 20; round += 1) {
            const hold = await lock.acquire(); // the one who gave up before may still be leaving the line
            const waiting = other.acquire({ timeoutMs: 5 }).catch(() => null);
            await pause(3 + (round % 4));
            await giveBack(hold);
            const next = await waiting;
            if (next !== null) await giveBack(next);
            await eventually('the lock is free', () => isFree(lock));
          }
        },

        'permits go to as many as wait': can.permits
          ? async (store) => {
              const [one, other] = twoSemaphores(store, 2);
              const holds = [await take(one), await take(other)];
              const waiting = [one.acquire(), other.acquire()];
              for (const hold of holds) await giveBack(hold);
              const next = await Promise.all(waiting);
              assert.equal(await isFree(one), false);
              for (const hold of next) await giveBack(hold);
            }
          : undefined,

        'requests of the Web Locks API are called back in the order of their grants': async (store) => {
          const [lock] = twoOf(store);
          const locks = createLocks({ namespace: lock.namespace, store: store() });
          const order: string[] = [];
          let end: (() => void) | undefined;
          const held = locks.request('a', () => new Promise<void>((resolve) => (end = resolve)));
          await eventually('it is held', () => end !== undefined);
          const again = locks.request('a', () => void order.push('a'));
          const other = locks.request('b', () => void order.push('b'));
          await other;
          end!();
          await Promise.all([held, again]);
          assert.deepEqual(order, ['b', 'a']);
        },

        'a query shows who holds and who waits': async (store) => {
          const [lock] = twoOf(store);
          const locks = createLocks({ namespace: lock.namespace, store: store() });
          if (store().query === undefined) return;
          const hold = await take(lock);
          const waiting = lock.acquire();
          await eventually('the wait is shown', async () => (await locks.query()).pending.length === 1);
          const { held, pending, gaps } = await locks.query();
          assert.deepEqual(
            held.map(({ name, mode, pid, token, alive }) => ({ name, mode, pid, token, alive })),
            [{ name: lock.name, mode: 'exclusive', pid: process.pid, token: hold.token, alive: true }],
          );
          assert.ok(held[0]!.since.getTime() > Date.now() - 60_000);
          assert.deepEqual([pending[0]!.name, pending[0]!.clientId, gaps.length], [lock.name, held[0]!.clientId, 0]);
          await giveBack(hold);
          await giveBack(await waiting);
          await eventually('nothing is shown', async () => {
            const after = await locks.query();
            return after.held.length + after.pending.length === 0;
          });
        },
      }
    : {};
