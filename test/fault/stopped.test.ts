// A process that is stopped is alive: it keeps what it holds, and nobody else waits for it.

import { afterAll, describe, expect, it } from 'vitest';

import { eventually } from './support/eventually.js';
import type { LockDescription, LockProcess } from './support/lock-process.js';
import { endSpareProcesses, Room } from './support/room.js';

interface Turns {
  had: number;
  tries: number;
  /** How long the fastest call took, and half of them at most: what else runs on the machine only adds to it. */
  fastestMs: number;
  medianMs: number;
}

afterAll(endSpareProcesses);

function setting(permits = 1): { room: Room; lock: LockDescription } {
  const room = new Room();
  return { room, lock: { namespace: room.namespace, name: 'lock', permits } };
}

/** A process that knows the lock and has used it. */
async function userOf(room: Room, lock: LockDescription): Promise<LockProcess> {
  const process = room.process();
  await process.count(lock);
  return process;
}

describe('a holder that is stopped for 5 s', () => {
  it('keeps its lock, holds up nobody’s event loop, and goes on afterwards', async () => {
    const { room, lock } = setting();
    const holder = await userOf(room, lock);
    const others = [await userOf(room, lock), await userOf(room, lock)];
    const [grant] = await holder.take(lock, 1);
    await holder.stop();

    const turns = await Promise.all(others.map((other) => other.call<Turns>('tryInTurns', lock, 5000)));
    for (const { had, tries, medianMs } of turns) {
      expect(had).toBe(0);
      expect(tries).toBeGreaterThan(50);
      expect(medianMs, 'a try waits for nobody').toBeLessThan(0.5);
    }

    holder.continue();
    expect(await holder.release(lock, grant!)).toBe(true);
    for (const other of others) expect(await other.count(lock)).toBe(1);
    await room.everybodyLeaves();
  }, 60_000);
});

describe('a process that is stopped inside the latch', () => {
  it.each(['acquire_latched', 'acquire_permit_taken', 'acquire_tag_written'])(
    'at %s makes tries of others answer busy within about 1 ms each',
    async (step) => {
      const { room, lock } = setting(3);
      const [inside, other] = [await userOf(room, lock), await userOf(room, lock)];
      const { result } = await inside.stopAt(step, () => inside.tryAcquire(lock));

      const turns = await other.call<Turns>('tryInTurns', lock, 500);
      expect(turns.had).toBe(0);
      expect(turns.fastestMs).toBeLessThan(2);

      inside.continue();
      const grant = await result;
      expect(grant).not.toBeNull();
      expect(await other.count(lock)).toBe(2);
      await inside.release(lock, grant!);
      expect(await other.count(lock)).toBe(3);
      await room.everybodyLeaves();
    },
  );

  it.each(['acquire_latched', 'sweep_found'])(
    'at %s frees by itself, when it goes on, what others have released meanwhile',
    async (step) => {
      const { room, lock } = setting();
      const [inside, holder, third] = [await userOf(room, lock), await userOf(room, lock), await userOf(room, lock)];
      if (step === 'sweep_found') {
        const dead = await userOf(room, { ...lock, permits: 1 });
        await dead.take(lock, 1);
        await dead.kill();
        // Stopped while it frees the dead one's permit: nobody holds the lock, and nobody can have it.
        const { result } = await inside.stopAt(step, () => inside.tryAcquire(lock));
        expect(await holder.tryAcquire(lock)).toBeNull();
        inside.continue();
        const grant = await result;
        expect(grant).toMatchObject({ abandoned: true });
        expect(await inside.release(lock, grant!)).toBe(true);
      } else {
        const [grant] = await holder.take(lock, 1);
        const { result } = await inside.stopAt(step, () => inside.tryAcquire(lock));
        const start = performance.now();
        expect(await holder.release(lock, grant!)).toBe(true);
        expect(performance.now() - start, 'release waits for nobody').toBeLessThan(1000);
        expect(await holder.release(lock, grant!), 'a second release').toBe(false);
        expect(await third.tryAcquire(lock), 'while the latch is taken').toBeNull();

        // The releaser does nothing more: it may as well be stopped.
        await holder.stop();
        inside.continue();
        const taken = await result;
        if (taken !== null) await inside.release(lock, taken);
        holder.continue();
      }
      expect(await third.count(lock)).toBe(1);
      await room.everybodyLeaves();
    },
  );

  it('lets a holder of 3 permits give all of them back at once', async () => {
    const { room, lock } = setting(3);
    const [inside, holder, third] = [await userOf(room, lock), await userOf(room, lock), await userOf(room, lock)];
    const grants = await holder.take(lock, 3);
    await inside.stopAt('acquire_latched', () => inside.tryAcquire(lock));
    await holder.releaseAll(lock, grants);
    await holder.stop();
    inside.continue();
    await eventually(async () => {
      const { permits, holders } = (await third.query(lock.namespace))[0] ?? { permits: 3, holders: [] };
      return permits === 3 && holders.length <= 1; // who was inside has one now
    });
    expect(await third.count(lock)).toBe(2);
    await inside.exit();
    expect(await third.count(lock)).toBe(3);
    await room.everybodyLeaves();
  });

  it('is killed there: the next one frees what others have released meanwhile', async () => {
    const { room, lock } = setting();
    const [inside, holder, third] = [await userOf(room, lock), await userOf(room, lock), await userOf(room, lock)];
    const [grant] = await holder.take(lock, 1);
    await inside.stopAt('acquire_latched', () => inside.tryAcquire(lock));
    expect(await holder.release(lock, grant!)).toBe(true);
    await holder.stop();
    await inside.kill();
    expect(await third.count(lock)).toBe(1);
    await room.everybodyLeaves();
  });

  it('makes newcomers wait at the gate for 5 s at most, and then say so', async () => {
    const { room, lock } = setting();
    const [inside, newcomer] = [room.process(), room.process()];
    await inside.stopAt('join_gate_locked', () => inside.tryAcquire(lock));
    await expect(newcomer.tryAcquire(lock)).rejects.toMatchObject({ kind: 'GATE' });
    inside.continue();
    expect(await newcomer.count(lock)).toBeLessThanOrEqual(1);
    await room.everybodyLeaves();
  }, 30_000);
});
