// Containers that share /dev/shm have pids of their own: the same pid may be two processes. Only root can make them.

import { afterAll, expect, it } from 'vitest';

import { LockProcess, type Grant } from './support/lock-process.js';
import { endSpareProcesses, Room } from './support/room.js';

afterAll(endSpareProcesses);

/** Is process 1 of its own pid namespace; `unshare` dies with it, and it with `unshare`. */
const asPid1 = () => LockProcess.start({ through: ['unshare', '--pid', '--fork', '--kill-child', '--'] });

it('keeps two processes of the same pid apart', async () => {
  const room = new Room();
  const lock = { namespace: room.namespace, name: 'lock', permits: 1 };
  const [one, two, outside] = [room.track(asPid1()), room.track(asPid1()), room.process()];
  const [grant] = await one.take(lock, 1);
  const { holders } = (await one.query(room.namespace))[0]!;
  expect(holders[0]!.pid, 'the holder in its own namespace').toBe(1);

  for (const other of [two, outside]) {
    expect(await other.tryAcquire(lock)).toBeNull();
    expect((await other.query(room.namespace))[0]!.holders).toMatchObject([{ alive: true, token: grant!.token }]);
  }
  await one.release(lock, grant!);
  expect(await two.count(lock)).toBe(1);
  await room.everybodyLeaves();
  expect(room.files()).toEqual([]);
});

it('frees what one of them held when it dies, though the other one still has that pid', async () => {
  const room = new Room();
  const lock = { namespace: room.namespace, name: 'lock', permits: 1 };
  const [one, two, outside] = [room.track(asPid1()), room.track(asPid1()), room.process()];
  for (const each of [two, outside]) await each.count(lock);
  await one.take(lock, 1);
  await one.kill();

  // `unshare` is dead; the one that it started dies of that a moment later.
  const { grant } = await two.call<{ grant: Grant | null }>('tryFor', lock, 5000);
  expect(grant).toMatchObject({ abandoned: true });
  expect(await outside.tryAcquire(lock)).toBeNull();
  await two.release(lock, grant!);
  await room.everybodyLeaves();
  expect(room.files()).toEqual([]);
});
