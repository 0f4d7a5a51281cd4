// A program in another language on the same semaphore: it is what LockProcess does with the raw semaphore, without a
// table. It may replace the semaphore, as programs do at their start against what an earlier run has left; and it may wait
// for what a process of semlock died with.

import { afterAll, expect, it } from 'vitest';

import type { LockDescription, LockProcess } from './support/lock-process.js';
import { endSpareProcesses, Room } from './support/room.js';
import { LONG_MS } from './steps/scenario.js';

afterAll(endSpareProcesses);

interface Scene {
  readonly lock: LockDescription;
  readonly one: LockProcess;
  readonly other: LockProcess;
  /** One more process that knows the lock. */
  join(): Promise<LockProcess>;
  /** Unlinks the semaphore and makes a new one without so many of its permits; gives them back one by one. */
  replace(taken: number): Promise<() => Promise<unknown>>;
}

async function scene(permits = 1): Promise<Scene> {
  const room = new Room();
  const posixName = room.posixName();
  const lock = { namespace: room.namespace, name: 'lock', posixName, permits };
  const [one, other, foreign] = [room.process(), room.process(), room.process()];
  for (const each of [one, other]) expect(await each.count(lock)).toBe(permits);
  return {
    lock,
    one,
    other,
    async join() {
      const another = room.process();
      expect(await another.call('open', lock)).toBeUndefined();
      return another;
    },
    async replace(taken) {
      const handle = await foreign.call<number>('semReplace', posixName, permits - taken);
      return () => foreign.call('semPost', handle);
    },
  };
}

it.each([1, 3])(
  'a semaphore that was replaced while it was free excludes as before, with %i permits',
  async (permits) => {
    const { lock, one, other, replace } = await scene(permits);
    const giveBack = await replace(permits);
    for (const each of [one, other]) expect(await each.tryAcquire(lock)).toBeNull();
    await giveBack();
    const grant = await one.takeOne(lock);
    expect(await other.tryAcquire(lock)).toBeNull();
    expect(await one.release(lock, grant)).toBe(true);
    for (let left = permits; left > 1; left--) await giveBack();
    for (const each of [one, other]) expect(await each.count(lock)).toBe(permits);
    expect(await one.semValue(lock.posixName!)).toBe(permits);
  },
);

it.each([1, 3])('a holder keeps its permit where the new semaphore has it, with %i permits', async (permits) => {
  const { lock, one, other, replace } = await scene(permits);
  const grant = await one.takeOne(lock);
  await replace(0);
  expect(await other.count(lock)).toBe(permits - 1);
  expect(await other.semValue(lock.posixName!)).toBe(permits - 1);
  expect(await one.release(lock, grant)).toBe(true);
  expect(await other.semValue(lock.posixName!)).toBe(permits);
});

it('a holder whose permit another program has by now has lost it, and nobody else has it', async () => {
  const { lock, one, other, replace } = await scene();
  const grant = await one.takeOne(lock);
  const giveBack = await replace(1);
  expect(await other.tryAcquire(lock)).toBeNull();
  expect(await one.release(lock, grant), 'lost').toBe(false);
  expect(await other.semValue(lock.posixName!)).toBe(0);
  expect(await one.tryAcquire(lock)).toBeNull();
  await giveBack();
  for (const each of [one, other]) expect(await each.count(lock)).toBe(1);
});

it('what is given back late, after the semaphore was replaced, goes to nobody by the old one', async () => {
  const { lock, one, other, replace, join } = await scene(2);
  const [ones, others] = [await one.takeOne(lock), await other.takeOne(lock)];
  const [first, second] = [await join(), await join()];
  const firstGrant = first.wait(lock, LONG_MS);
  await first.isWaiting();
  const secondGrant = second.wait(lock, 1000);
  await second.isWaiting();
  // Inside the latch, so that the other one can only leave word that its permit is back.
  const { result } = await one.stopAt('hand_on_granted', () => one.release(lock, ones));
  expect(await other.release(lock, others)).toBe(true);
  await replace(2);
  one.continue();
  expect(await result).toBe(true);
  expect(await firstGrant, 'before it was replaced').not.toBeNull();
  expect(await secondGrant).toBeNull();
});

it('a holder is told of the loss although nobody asks for the lock', async () => {
  const { lock, one, replace } = await scene();
  const lost = one.call('isTold', lock);
  await one.call('memory');
  await replace(1);
  expect(await lost).toBe(true);
});

it('a semaphore that was unlinked and not made anew is made with what is left of it', async () => {
  const { lock, one, other } = await scene(3);
  const grant = await one.takeOne(lock);
  await other.call('semUnlink', lock.posixName);
  expect(await other.count(lock)).toBe(2);
  expect(await one.release(lock, grant)).toBe(true);
  expect(await one.semValue(lock.posixName!)).toBe(3);
});

it('another program is given what a process died with, although nobody else asks for it', async () => {
  const { lock, one, other } = await scene();
  await one.takeOne(lock);
  expect(await other.semValue(lock.posixName!)).toBe(0);
  await one.kill();
  await expect.poll(() => other.semValue(lock.posixName!), { timeout: 20_000 }).toBe(1);
  expect((await other.takeOne(lock)).abandoned).toBe(true);
});
