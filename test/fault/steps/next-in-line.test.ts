// The head of a queue is killed at each step of the hand-over to it: at those that it takes itself, and at those of the
// holder that hands on to it. Whoever stands behind it is served, and no permit is lost.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { eventually } from '../support/eventually.js';
import { LockProcess, type Grant, type LockDescription } from '../support/lock-process.js';
import { promptly } from '../support/promptly.js';
import { endSpareProcesses, Room } from '../support/room.js';

/** Of a release that hands on, from the latch taken to the latch left. */
const HANDING_ON = [
  'release_latched',
  'give_back_tag_cleared',
  'give_back_posted',
  'hand_on_permit_taken',
  'hand_on_granting',
  'acquire_token_counted',
  'acquire_entry_filled',
  'acquire_tag_written',
  'acquire_counted',
  'hand_on_entry_written',
  'hand_on_granted',
  'release_left',
];
const GETTING_IN_LINE = ['enqueue_latched', 'enqueue_filled', 'enqueue_tag_written', 'enqueue_counted', 'enqueue_left'];
const BEING_SERVED = ['collect_marked', 'collect_freed'];
const GIVING_UP = ['cancel_marked', 'queue_cell_freed'];

/** What takes no longer than the next one may have to wait. */
const soon = (play: (step: string) => Promise<number>) => (step: string) => promptly(100, () => play(step));

/** Far longer than anything here takes. */
const LONG_MS = 15_000;

const waits = [
  { how: 'blocking its thread', wait: (process: LockProcess, lock: LockDescription) => process.wait(lock, LONG_MS) },
  { how: 'in its event loop', wait: (process: LockProcess, lock: LockDescription) => process.waitInTurn(lock) },
];
const locks = [
  { kind: 'a lock', permits: 1, foreign: false },
  { kind: 'a foreign semaphore of 3 permits', permits: 3, foreign: true },
];

afterAll(endSpareProcesses);

describe.each(locks)('of $kind', ({ permits, foreign }) => {
  /** They live on from case to case. */
  const cleanUps: (() => Promise<void>)[] = [];
  let holder: LockProcess;
  let next: LockProcess;
  beforeAll(() => {
    [holder, next] = [LockProcess.start(), LockProcess.start()];
  });
  afterAll(async () => {
    for (const each of [holder, next]) await each.kill();
    for (const cleanUp of cleanUps) await cleanUp();
  });

  /** All permits are held, so that both the head and the next one are going to wait. */
  async function contention() {
    const room = new Room((cleanUp) => cleanUps.push(cleanUp));
    const posixName = foreign ? room.posixName() : '';
    const lock = { namespace: room.namespace, name: 'lock', permits, posixName };
    const [grant, ...others] = await holder.take(lock, permits);
    const head = room.process();
    await head.count(lock);
    const waiting = async () => (await holder.query(room.namespace))[0]!.waiters.length;
    const release = () => holder.release(lock, grant!);
    /** The next one is served, how soon is the result; then all permits are there, and not one more. */
    const expectServed = async (served: Promise<Grant | null>, abandoned = expect.any(Boolean) as boolean) => {
      const start = performance.now();
      const got = await served;
      const ms = performance.now() - start;
      expect(got).toMatchObject({ abandoned });
      await next.release(lock, got!);
      await holder.releaseAll(lock, others);
      expect(await next.count(lock)).toBe(permits);
      expect(await next.query(room.namespace)).toEqual([]);
      return ms;
    };
    return { lock, head, release, waiting, expectServed };
  }

  describe.each(waits)('a head that waits $how', ({ wait }) => {
    it.each(HANDING_ON)(
      'and is killed while its holder is at %s',
      soon(async (step) => {
        const { lock, head, release, waiting, expectServed } = await contention();
        wait(head, lock).catch(() => {});
        await eventually(async () => (await waiting()) === 1);
        const served = wait(next, lock);
        await eventually(async () => (await waiting()) === 2);
        const { result } = await holder.stopAt(step, release);
        await head.kill();
        holder.continue();
        expect(await result).toBe(true);
        return await expectServed(served);
      }),
    );

    it.each(BEING_SERVED)(
      'and is killed at %s',
      soon(async (step) => {
        const { lock, head, release, waiting, expectServed } = await contention();
        const death = head.dieAt(step, () => wait(head, lock));
        await eventually(async () => (await waiting()) === 1);
        const served = wait(next, lock);
        await eventually(async () => (await waiting()) === 2);
        await release();
        await death;
        return await expectServed(served, true);
      }),
    );

    it.each(GETTING_IN_LINE)(
      'and is killed at %s',
      soon(async (step) => {
        const { lock, head, release, waiting, expectServed } = await contention();
        await head.dieAt(step, () => wait(head, lock));
        const served = wait(next, lock);
        await eventually(async () => (await waiting()) === 1);
        await release();
        return await expectServed(served, false);
      }),
    );
  });

  it.each(GIVING_UP)(
    'a head that gives up and is killed at %s',
    soon(async (step) => {
      const { lock, head, release, waiting, expectServed } = await contention();
      const death = head.dieAt(step, () => head.wait(lock, 300));
      await eventually(async () => (await waiting()) === 1);
      const served = next.wait(lock, LONG_MS);
      await death;
      await release();
      return await expectServed(served, false);
    }),
  );
});
