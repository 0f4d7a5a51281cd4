// The last process leaves while the next one comes, and a third one stops, dies or tidies up in between: a clear error or a
// working lock, never two holders, and no death goes untold.

import { readdirSync, rmSync, writeFileSync } from 'node:fs';

import { afterAll, describe, expect, it } from 'vitest';

import type { LockDescription, LockProcess } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';
import { endSpareProcesses, Room } from './support/room.js';

afterAll(endSpareProcesses);

function setting(): { room: Room; lock: LockDescription } {
  const room = new Room();
  return { room, lock: { namespace: room.namespace, name: 'lock' } };
}

/** Takes the lock, gives it back, and says whether it was told of a death. */
async function isTold(process: LockProcess, lock: LockDescription): Promise<boolean> {
  const grant = await process.takeOne(lock);
  await process.release(lock, grant);
  return grant.abandoned;
}

const LEAVING = ['leave_gate_locked', 'leave_byte_unlocked'];
const stops = [
  ...[...LEAVING, 'leave_table_kept'].map((step) => ({ step, holds: true, kind: 'GATE' })),
  ...[...LEAVING, 'leave_semaphores_unlinked'].map((step) => ({ step, holds: false, kind: 'GATE' })),
  { step: 'leave_table_unlinked', holds: false, kind: 'TABLE_LOST' },
];

describe('the last one to leave, stopped on its way out', () => {
  it.each(stops)(
    'at $step (with the lock in hand: $holds) keeps newcomers out, who then come as if it had not stopped',
    async ({ step, holds, kind }) => {
      const { room, lock } = setting();
      const [leaver, one, other] = [room.process(), room.process(), room.process()];
      if (holds) await leaver.take(lock, 1);
      else await leaver.count(lock);
      await leaver.stopAt(step, () => leaver.call('exit', 0));

      await expect(one.tryAcquire(lock)).rejects.toMatchObject({ kind });
      leaver.continue();
      await leaver.ended;
      expect(await isTold(one, lock)).toBe(holds);
      const [grant] = await one.take(lock, 1);
      expect(await other.tryAcquire(lock)).toBeNull();
      await one.release(lock, grant!);
      await room.everybodyLeaves();
      expect(room.files()).toEqual([]);
    },
    30_000,
  );

  it('after all of it is no concern of newcomers', async () => {
    const { room, lock } = setting();
    const [leaver, next] = [room.process(), room.process()];
    await leaver.take(lock, 1);
    await leaver.stopAt('leave_done', () => leaver.call('exit', 0));
    expect(await isTold(next, lock)).toBe(true);
    await next.exit();
    expect(room.files()).toEqual([]);
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
  });
});

describe('a newcomer that is stopped at the gate', () => {
  it.each(['killed', 'continued'])(
    'does not hold up the end of the last one, whose death is told when it is %s',
    async (how) => {
      const { room, lock } = setting();
      const [leaver, newcomer, next] = [room.process(), room.process(), room.process()];
      await leaver.take(lock, 1);
      const another = { ...lock, name: 'another' };
      const { result } = await newcomer.stopAt('join_gate_locked', () => newcomer.count(another));
      const start = performance.now();
      await leaver.exit();
      expect(performance.now() - start).toBeLessThan(3000);

      if (how === 'killed') await newcomer.kill();
      else newcomer.continue();
      await result.catch(() => {});
      expect(await isTold(next, lock)).toBe(true);
      await room.everybodyLeaves();
      expect(room.files()).toEqual([]);
    },
  );
});

it('two that come at once to a table that was kept share it, and one of them is told', async () => {
  for (let round = 0; round < 10; round++) {
    const { room, lock } = setting();
    const [holder, ...next] = [room.process(), room.process(), room.process()];
    await holder.take(lock, 1);
    await holder.exit();
    const grants = await Promise.all(next.map((each) => each.wait(lock, 50)));
    expect(grants.filter((grant) => grant !== null)).toMatchObject([{ abandoned: true }]);
    for (const [index, grant] of grants.entries()) if (grant !== null) await next[index]!.release(lock, grant);
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
  }
});

it('a process in two namespaces leaves the files of that one alone in which it holds a lock', async () => {
  const [one, two] = [setting(), setting()];
  const [process, next] = [one.room.process(), one.room.process()];
  await process.take(one.lock, 1);
  await process.count(two.lock);
  await process.exit();
  expect(two.room.files()).toEqual([]);
  expect(one.room.files()).not.toEqual([]);
  expect(await isTold(next, one.lock)).toBe(true);
  await next.exit();
  expect(one.room.files()).toEqual([]);
});

it('a foreign semaphore that the killed owe permits refuses other options once, and has its permits then', async () => {
  const room = new Room();
  const lock = { namespace: room.namespace, name: 'lock', permits: 3, posixName: room.posixName() };
  const [holder, refused, next] = [room.process(), room.process(), room.process()];
  await holder.take(lock, 3);
  await holder.kill();
  const changed = { ...lock, permits: 2 };
  await expect(refused.tryAcquire(changed)).rejects.toMatchObject({ kind: 'MISMATCH' });
  await refused.exit();
  expect(await next.semValue(lock.posixName)).toBe(3);
  expect(await isTold(next, changed)).toBe(true);
  expect(await next.count(changed)).toBe(2);
  await next.exit();
  expect(room.files()).toEqual([]);
});

it('what a killed builder left beside a table that is kept goes with that', async () => {
  const { room, lock } = setting();
  const [holder, next] = [room.process(), room.process()];
  await holder.take(lock, 1);
  writeFileSync(room.tablePath.replace('.table', '.1-0-1'), '', { mode: 0o600 });
  await holder.exit();
  expect(await isTold(next, lock)).toBe(true);
  await next.exit();
  expect(room.files()).toEqual([]);
});

describe('somebody who tidies up /dev/shm', () => {
  const lock = { namespace: 'tidy', name: 'lock' };

  it.each([
    ['after the end of the last one', false],
    ['before it', true],
  ])('%s takes the news along, and no more than that', async (_, before) => {
    const shm = await PrivateShm.mount();
    const tidyUp = () => readdirSync(shm.path).forEach((file) => rmSync(`${shm.path}/${file}`, { recursive: true }));
    const [holder, next, other] = [shm.process(), shm.process(), shm.process()];
    await holder.take(lock, 1);
    if (before) tidyUp();
    await holder.exit();
    if (!before) tidyUp();
    expect(readdirSync(shm.path)).toEqual([]);

    expect(await isTold(next, lock)).toBe(false);
    const [grant] = await next.take(lock, 1);
    expect(await other.tryAcquire(lock)).toBeNull();
    await next.release(lock, grant!);
    for (const each of [next, other]) await each.exit();
    expect(readdirSync(shm.path)).toEqual([]);
  });

  it('but for the semaphores of a table that is kept costs nobody a permit', async () => {
    const shm = await PrivateShm.mount();
    const [holder, next] = [shm.process(), shm.process()];
    const several = { ...lock, permits: 3 };
    await holder.take(several, 3);
    await holder.exit();
    for (const file of readdirSync(shm.path)) if (file.startsWith('sem.')) rmSync(`${shm.path}/${file}`);
    expect(await isTold(next, several)).toBe(true);
    expect(await next.count(several)).toBe(3);
    await next.exit();
    expect(readdirSync(shm.path)).toEqual([]);
  });
});
