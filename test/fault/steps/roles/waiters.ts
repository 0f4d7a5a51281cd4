// Kills of those who wait, and of those who hand on to them.

import { setTimeout as sleep } from 'node:timers/promises';

import { expect } from 'vitest';

import { eventually } from '../../support/eventually.js';
import { gapAt, GIVE_BACK, HAND_ON, LONG_MS, type Scenario, type Stage } from '../scenario.js';

/** A holder of the last permit, and a process that is about to wait for it. */
async function contention(stage: Stage) {
  await stage.witness();
  const [holder, waiter] = [await stage.user(), await stage.user()];
  const grant = await holder.takeOne(stage.lock);
  const release = () => holder.release(stage.lock, grant);
  return { holder, waiter, release };
}

/** A process that waits for the last permit, which another program has, and is killed at a step of getting it. */
async function dieOverForeignPost(stage: Stage, step: string): Promise<void> {
  const { lock, room } = stage;
  const [waiter, other] = [await stage.user(), room.process()];
  const semaphore = await other.call<number>('semOpen', lock.posixName, 0);
  await waiter.dieAt(step, async () => {
    for (;;) {
      expect(await other.call('semTryWait', semaphore)).toBe(true);
      const waiting = waiter.wait(lock, LONG_MS);
      waiting.catch(() => {}); // it is dead
      await waiter.isWaiting();
      await other.call('semPost', semaphore);
      await waiter.release(lock, (await waiting)!); // a round came first
    }
  });
}

export const waiters: readonly Scenario[] = [
  {
    role: 'waiter',
    title: 'has in hand what another program has given back',
    steps: ['foreign_post_taken', 'in_hand_written', 'in_hand_to_entry', 'in_hand_in_entry'],
    onlyIf: ({ foreign }) => foreign,
    gap: (_, step) => (step === 'foreign_post_taken' ? 1 : 0),
    async play(stage, step) {
      await stage.witness();
      await dieOverForeignPost(stage, step);
    },
  },
  {
    role: 'repairer',
    title: 'finds what a dead process had in hand',
    steps: ['in_hand_given_back'],
    onlyIf: ({ foreign }) => foreign,
    gap: () => 1,
    async play(stage, step) {
      await stage.witness();
      const repairer = await stage.user();
      await dieOverForeignPost(stage, 'in_hand_written');
      await repairer.dieAt(step, () => repairer.tryAcquire(stage.lock));
    },
  },
  {
    role: 'waiter',
    title: 'gets in line',
    steps: [
      'room_waiters_linked',
      'enqueue_latched',
      'enqueue_filled',
      'enqueue_tag_written',
      'enqueue_counted',
      'enqueue_left',
    ],
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      await waiter.dieAt(step, () => waiter.wait(stage.lock, LONG_MS));
      await release();
    },
  },
  {
    role: 'waiter',
    title: 'gets in line from its event loop',
    steps: ['inbox_made', 'enqueue_latched', 'enqueue_tag_written', 'enqueue_left'],
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      await waiter.dieAt(step, () => waiter.call('waitInTurn', stage.lock));
      await release();
    },
  },
  {
    role: 'waiter',
    title: 'is granted the permit in its event loop',
    steps: ['collect_marked', 'collect_freed'],
    async play(stage, step) {
      const { holder, waiter, release } = await contention(stage);
      const death = waiter.dieAt(step, () => waiter.call('waitInTurn', stage.lock));
      await eventually(async () =>
        (await holder.query(stage.lock.namespace)).some(({ waiters }) => waiters.length > 0),
      );
      await release();
      await death;
    },
  },
  {
    role: 'waiter',
    title: 'is granted the permit',
    steps: ['collect_marked', 'collect_freed'],
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      const death = waiter.dieAt(step, () => waiter.wait(stage.lock, LONG_MS));
      await waiter.isWaiting();
      await release();
      await death;
    },
  },
  {
    role: 'waiter',
    title: 'takes back what one that is stopped does not collect',
    steps: ['take_back_marked', ...GIVE_BACK, 'take_back_passed'],
    async play(stage, step) {
      const { lock, variant } = stage;
      const { waiter, release } = await contention(stage);
      const stopped = await stage.user();
      const lost = gapAt(variant, step) > 0;
      const waiting = stopped.wait(lock, lost ? 1000 : LONG_MS);
      await stopped.isWaiting();
      await stopped.stop();
      const death = waiter.dieAt(step, () => waiter.wait(lock, LONG_MS));
      await waiter.isWaiting();
      await release();
      await death;
      stopped.continue();
      if (lost) expect(await waiting, 'what who was stopped gets').toBeNull();
      else await stopped.release(lock, await stage.servedAfter(death, waiting));
    },
  },
  {
    role: 'waiter',
    title: 'was passed over while it was stopped, and comes back',
    steps: ['come_back_marked'],
    async play(stage, step) {
      const { lock } = stage;
      const { waiter, release } = await contention(stage);
      const next = await stage.user();
      const death = waiter.dieAt(step, () => waiter.wait(lock, LONG_MS));
      await waiter.isWaiting();
      await waiter.stop();
      const waiting = next.wait(lock, LONG_MS);
      await next.isWaiting();
      await release();
      const grant = await waiting;
      waiter.continue();
      await death;
      await next.release(lock, grant!);
    },
  },
  {
    role: 'holder',
    title: 'passes over a waiter whose time was over while it was stopped',
    steps: ['pass_marked'],
    async play(stage, step) {
      const { holder, waiter, release } = await contention(stage);
      await waiter.arm('enqueue_left', 'SIGSTOP', 2); // the first time there is no room for it
      const waiting = waiter.wait(stage.lock, 100);
      await waiter.isStopped();
      await sleep(100);
      await holder.dieAt(step, release);
      waiter.continue();
      expect(await waiting, 'too late').toBeNull();
    },
  },
  {
    role: 'waiter',
    title: 'gives up',
    steps: ['cancel_marked', 'queue_cell_freed'],
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      await waiter.dieAt(step, () => waiter.wait(stage.lock, 50));
      await release();
    },
  },
  {
    role: 'waiter',
    title: 'is the one to find that who handed the permit to it was killed over it',
    steps: ['repair_taken_over', 'repair_grant_settled', 'repair_queue_counted'],
    gap: (variant) => gapAt(variant, 'hand_on_granting'),
    async play(stage, step) {
      const { holder, waiter, release } = await contention(stage);
      const death = waiter.dieAt(step, () => waiter.wait(stage.lock, LONG_MS));
      await waiter.isWaiting();
      await holder.dieAt('hand_on_granting', release);
      await death;
    },
  },
  {
    role: 'holder',
    title: 'hands its permit on to a waiter',
    steps: HAND_ON,
    async play(stage, step) {
      const { lock, variant } = stage;
      const { holder, waiter, release } = await contention(stage);
      const lost = gapAt(variant, step) > 0;
      const waiting = waiter.wait(lock, lost ? 500 : LONG_MS);
      await waiter.isWaiting();
      const death = holder.dieAt(step, release);
      if (lost) expect(await waiting, 'what who waited gets').toBeNull();
      else await waiter.release(lock, await stage.servedAfter(death, waiting));
      await death;
    },
  },
  {
    role: 'holder',
    title: 'hands its permit on to a waiter that would give up meanwhile',
    steps: ['hand_on_granting', 'hand_on_entry_written'],
    async play(stage, step) {
      const { lock } = stage;
      const { holder, waiter, release } = await contention(stage);
      const next = await stage.user();
      const waiting = waiter.wait(lock, 300);
      await waiter.isWaiting();
      await holder.stopAt(step, release);
      expect(await waiting, 'its time is over').toBeNull();
      const death = holder.kill();
      await death;
      // The waiter is alive. On its next round it leaves the queue, or gives back what came too late.
      if (gapAt(stage.variant, step) > 0) {
        const nobodyWaits = async () => (await next.query(lock.namespace)).every(({ waiters }) => waiters.length === 0);
        await eventually(nobodyWaits);
        return;
      }
      await next.release(lock, await stage.servedAfter(death, next.wait(lock, LONG_MS)));
    },
  },
];
