// A process that is stopped is alive: it keeps what it holds, and nobody else waits for it.

import { closeSync, openSync, writeSync } from 'node:fs';

import { afterAll, describe, expect, it } from 'vitest';

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

  it('does not hold up a release, and frees what was released when it goes on, without the releaser', async () => {
    const { room, lock } = setting(3);
    const [inside, holder] = [await userOf(room, lock), await userOf(room, lock)];
    const grants = await holder.take(lock, 2);
    const { result } = await inside.stopAt('acquire_counted', () => inside.tryAcquire(lock));
    const start = performance.now();
    await holder.releaseAll(lock, grants);
    expect(performance.now() - start, 'for a process that is stopped for as long as one likes').toBeLessThan(1000);
    expect(await holder.release(lock, grants[0]!), 'a second release').toBe(false);
    expect(await holder.semValue(room.semaphoreName()!), 'while the latch is taken').toBe(0);

    await holder.stop();
    inside.continue();
    expect(await result).not.toBeNull();
    expect(await inside.semValue(room.semaphoreName()!)).toBe(2);
    await room.everybodyLeaves();
  });

  it('gets the permit that was released meanwhile, when it was about to take one', async () => {
    const { room, lock } = setting();
    const [inside, holder, third] = [await userOf(room, lock), await userOf(room, lock), await userOf(room, lock)];
    const [grant] = await holder.take(lock, 1);
    const { result } = await inside.stopAt('acquire_latched', () => inside.tryAcquire(lock));
    expect(await holder.release(lock, grant!)).toBe(true);
    expect(await third.tryAcquire(lock)).toBeNull();

    inside.continue();
    const taken = await result;
    expect(taken).toMatchObject({ abandoned: false });
    expect(await third.tryAcquire(lock)).toBeNull();
    await inside.release(lock, taken!);
    expect(await third.count(lock)).toBe(1);
    await room.everybodyLeaves();
  });

  it('while it frees a dead holder’s permit keeps that from others, and has it when it goes on', async () => {
    const { room, lock } = setting();
    const [inside, dead, third] = [await userOf(room, lock), await userOf(room, lock), await userOf(room, lock)];
    await dead.take(lock, 1);
    await dead.kill();
    const { result } = await inside.stopAt('sweep_found', () => inside.tryAcquire(lock));
    expect(await third.tryAcquire(lock)).toBeNull();

    inside.continue();
    expect(await result).toMatchObject({ abandoned: true });
    expect(await third.tryAcquire(lock)).toBeNull();
    await room.everybodyLeaves();
  });

  it('that guards the making of locks holds up new names alone, and those for about 1 ms each', async () => {
    const { room, lock } = setting();
    const [inside, other] = [await userOf(room, lock), await userOf(room, lock)];
    const second = { ...lock, name: 'second' };
    const { result } = await inside.stopAt('create_latched', () => inside.tryAcquire(second));

    expect(await other.count(lock), 'permits of a lock that is known').toBe(1);
    const turns = await other.call<Turns>('tryInTurns', second, 200);
    expect(turns.had).toBe(0);
    expect(turns.fastestMs).toBeLessThan(2);

    inside.continue();
    await inside.release(second, (await result)!);
    expect(await other.count(second)).toBe(1);
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

  it('makes newcomers wait at the gate for 5 s at most, and then say so, at once when they are asked again', async () => {
    const { room, lock } = setting();
    const [inside, newcomer] = [room.process(), room.process()];
    const { result } = await inside.stopAt('join_gate_locked', () => inside.tryAcquire(lock));
    const start = performance.now();
    await expect(newcomer.tryAcquire(lock)).rejects.toMatchObject({ kind: 'GATE' });
    const firstMs = performance.now() - start;
    for (let request = 0; request < 20; request++) {
      await expect(newcomer.tryAcquire(lock)).rejects.toMatchObject({ kind: 'GATE' });
    }
    expect(performance.now() - start - firstMs, 'twenty more').toBeLessThan(firstMs);
    inside.continue();
    await result; // before, the gate is not free
    expect(await newcomer.count(lock)).toBeLessThanOrEqual(1);
    await room.everybodyLeaves();
  }, 30_000);
});

/** Where a table's header says which slot the next one to join looks at first. */
const NEXT_SLOT = 76;

describe('a newcomer that is stopped while it takes the slot of a dead holder', () => {
  it.each(['join_gate_locked', 'join_generation_counted', 'join_byte_locked', 'join_pid_written'])(
    'at %s keeps nothing from others that the dead one held',
    async (step) => {
      const { room, lock } = setting();
      const [holder, other, newcomer] = [room.process(), room.process(), room.process()];
      await holder.take(lock, 1); // the first one there, so it has slot 0
      await other.open(lock);
      await holder.kill();
      const table = openSync(room.tablePath, 'r+');
      writeSync(table, Buffer.alloc(4), 0, 4, NEXT_SLOT);
      closeSync(table);
      const { result } = await newcomer.stopAt(step, () => newcomer.tryAcquire(lock));

      const grant = await other.takeOne(lock);
      expect(grant.abandoned).toBe(true);
      newcomer.continue();
      expect(await result).toBeNull();
      await other.release(lock, grant);
      expect(await newcomer.count(lock)).toBe(1);
      await room.everybodyLeaves();
      expect(room.files()).toEqual([]);
    },
  );
});
