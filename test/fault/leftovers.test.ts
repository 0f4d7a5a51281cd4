// What the dead leave in /dev/shm is removed by the next process that joins any namespace. What is in use stays, and so does
// what a next holder is still to be told.

import { existsSync, readdirSync, utimesSync } from 'node:fs';
import { constants } from 'node:os';

import { afterAll, describe, expect, it } from 'vitest';

import type { LockDescription, LockProcess } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';
import { endSpareProcesses, Room } from './support/room.js';

afterAll(endSpareProcesses);

const DAY_MS = 24 * 60 * 60 * 1000;
/** More than a join looks at. */
const MANY = 20;

const lockOf = (namespace: string): LockDescription => ({ namespace, name: 'lock' });

/** Sets when somebody joined it last. */
function joinedAgo(shm: PrivateShm, namespace: string, ms: number): void {
  const at = new Date(Date.now() - ms);
  utimesSync(shm.tableOf(namespace), at, at);
}

/** What a namespace looks like that a killed process has left. */
async function leave(shm: PrivateShm, namespace: string, { holding = false, ageMs = DAY_MS + 60_000 } = {}) {
  const dead = shm.process();
  await (holding ? dead.takeOne(lockOf(namespace)) : dead.count(lockOf(namespace)));
  await dead.kill();
  joinedAgo(shm, namespace, ageMs);
}

/** A process that joins a namespace which has nothing to do with the others, and leaves it. */
async function joinElsewhere(shm: PrivateShm): Promise<void> {
  const process = shm.process();
  await process.count(lockOf('elsewhere'));
  await process.exit();
}

describe('whoever joins', () => {
  it('clears another namespace that nobody has joined for a day, with all its files', async () => {
    const shm = await PrivateShm.mount();
    await leave(shm, 'old');
    expect(readdirSync(shm.path)).toHaveLength(2); // the folder, and a semaphore
    await joinElsewhere(shm);
    expect(readdirSync(shm.path)).toEqual([]);
  });

  it.each([
    ['that somebody has joined within a day', { holding: false, ageMs: DAY_MS - 60_000 }],
    ['that owes somebody the news of a death, however old it is', { holding: true, ageMs: 100 * DAY_MS }],
  ])('leaves one alone %s', async (_, how) => {
    const shm = await PrivateShm.mount();
    await leave(shm, 'kept', how);
    const before = readdirSync(shm.folder);
    await joinElsewhere(shm);
    expect(readdirSync(shm.folder)).toEqual(before);
    const next = shm.process();
    expect((await next.takeOne(lockOf('kept'))).abandoned).toBe(how.holding);
  });

  it('leaves one alone that somebody uses, however long ago that was joined', async () => {
    const shm = await PrivateShm.mount();
    const user = shm.process();
    const grant = await user.takeOne(lockOf('used'));
    joinedAgo(shm, 'used', 100 * DAY_MS);
    await joinElsewhere(shm);
    expect(existsSync(shm.tableOf('used'))).toBe(true);
    const other = shm.process();
    expect(await other.tryAcquire(lockOf('used'))).toBeNull();
    expect(await user.release(lockOf('used'), grant)).toBe(true);
  });

  it('counts as the last one to join from then on', async () => {
    const shm = await PrivateShm.mount();
    await leave(shm, 'old');
    const next = shm.process();
    await next.count(lockOf('old'));
    await next.kill();
    await joinElsewhere(shm);
    expect(existsSync(shm.tableOf('old'))).toBe(true);
  });

  it('clears a few at a time, until all are gone', async () => {
    const shm = await PrivateShm.mount();
    const dead = shm.process();
    const names = Array.from({ length: MANY }, (_, number) => `old ${number}`);
    for (const name of names) await dead.count(lockOf(name));
    await dead.kill();
    for (const name of names) joinedAgo(shm, name, 2 * DAY_MS);
    const left = () => names.filter((name) => existsSync(shm.tableOf(name))).length;

    await joinElsewhere(shm);
    expect(left()).toBeLessThan(MANY);
    expect(left()).toBeGreaterThan(0);
    while (left() > 0) {
      const before = left();
      await joinElsewhere(shm);
      expect(left()).toBeLessThan(before);
    }
    expect(readdirSync(shm.path)).toEqual([]);
  });

  it('waits for nobody who has stopped at the gate of an old one', async () => {
    const shm = await PrivateShm.mount();
    await leave(shm, 'old');
    const stopped = shm.process();
    await stopped.stopAt('join_gate_locked', () => stopped.count(lockOf('old')));
    joinedAgo(shm, 'old', 2 * DAY_MS);
    const next = shm.process();
    await next.call('arm', '', 0, 0); // it has started
    const start = performance.now();
    await next.count(lockOf('elsewhere'));
    expect(performance.now() - start).toBeLessThan(1_000);
    expect(existsSync(shm.tableOf('old'))).toBe(true);
    stopped.continue();
  });

  it.each([
    ['a builder of a table', 'build_created'],
    ['a builder of a table, which is there', 'build_linked'],
    ['a maker of a semaphore that no record tells of', 'secret_semaphore_made'],
  ])('clears what was left by %s, who was killed', async (_, step) => {
    const shm = await PrivateShm.mount();
    const dead = shm.process();
    await dead.dieAt(step, () => dead.tryAcquire(lockOf('old')));
    const old = new Date(Date.now() - 2 * DAY_MS);
    expect(readdirSync(shm.folder)).not.toEqual([]);
    for (const file of readdirSync(shm.folder)) utimesSync(`${shm.folder}/${file}`, old, old);
    await joinElsewhere(shm);
    expect(readdirSync(shm.path)).toEqual([]);
  });
});

describe('a newcomer that finds no room', () => {
  /** Fills a /dev/shm with namespaces of the dead. */
  async function fill(shm: PrivateShm, holding: boolean) {
    const dead = shm.process();
    for (let number = 0; ; number += 1) {
      try {
        const lock = lockOf(`dead ${number}`);
        await (holding ? dead.takeOne(lock) : dead.count(lock));
      } catch (error) {
        expect(error).toMatchObject({ errno: constants.errno.ENOSPC });
        break;
      }
    }
    await dead.kill();
  }

  it('clears what the dead have left, however long ago that was', async () => {
    const shm = await PrivateShm.mount('size=1m');
    await fill(shm, false);
    const next = shm.process();
    expect(await next.count(lockOf('new'))).toBe(1);
    await next.exit();
    expect(readdirSync(shm.path)).toEqual([]);
  });

  it('is refused where all that owes news', async () => {
    const shm = await PrivateShm.mount('size=1m');
    await fill(shm, true);
    const next = shm.process();
    await expect(next.count(lockOf('new'))).rejects.toMatchObject({ errno: constants.errno.ENOSPC });
    expect((await next.takeOne(lockOf('dead 0'))).abandoned).toBe(true);
  });
});

describe('whoever clears a namespace away', () => {
  /** A namespace that a process has left that was killed. */
  async function setting({ holding = false } = {}) {
    const room = new Room();
    const lock = lockOf(room.namespace);
    const dead = room.process();
    await (holding ? dead.takeOne(lock) : dead.count(lock));
    await dead.kill();
    return { room, lock, cleaner: room.process() };
  }

  /** The lock works, between two. */
  async function expectOneHolder(lock: LockDescription, one: LockProcess, other: LockProcess): Promise<void> {
    const grant = await one.takeOne(lock);
    expect(await other.tryAcquire(lock)).toBeNull();
    await one.release(lock, grant);
    expect(await other.count(lock)).toBe(1);
  }

  it('says what became of it', async () => {
    const { room, lock, cleaner } = await setting({ holding: true });
    const { namespace } = room;
    expect(await cleaner.clear(namespace)).toBe('owes news');
    const user = room.process();
    await user.takeOne(lock);
    expect([await cleaner.clear(namespace), await cleaner.clear(namespace, true)]).toEqual(['in use', 'in use']);
    await user.kill();
    expect([await cleaner.clear(namespace), await cleaner.clear(namespace, true)]).toEqual(['owes news', 'cleared']);
    expect(room.files()).toEqual([]);
  });

  it('gives a foreign semaphore its permits back first, which only the table knows to be lost', async () => {
    const room = new Room();
    const lock = { ...lockOf(room.namespace), permits: 3, posixName: room.posixName() };
    const [dead, cleaner] = [room.process(), room.process()];
    await dead.take(lock, 2);
    await dead.kill();
    expect(await cleaner.semValue(lock.posixName)).toBe(1);
    expect(await cleaner.clear(room.namespace, true)).toBe('cleared');
    expect(await cleaner.semValue(lock.posixName)).toBe(3);
    expect(room.files()).toEqual([]);
  });

  it.each(['join_gate_locked', 'join_byte_locked', 'leave_gate_locked', 'leave_semaphores_unlinked'])(
    'and stops at %s keeps newcomers out, who then come as if it had not',
    async (step) => {
      const { room, lock, cleaner } = await setting();
      const [one, other] = [room.process(), room.process()];
      const { result } = await cleaner.stopAt(step, () => cleaner.clear(room.namespace));
      await expect(one.tryAcquire(lock)).rejects.toMatchObject({ kind: 'GATE' });
      cleaner.continue();
      await result;
      await expectOneHolder(lock, one, other);
      await room.everybodyLeaves();
      expect(room.files()).toEqual([]);
    },
    30_000,
  );

  it.each(['clear_found', 'clear_joined'])('and stops at %s leaves it to newcomers', async (step) => {
    const { room, lock, cleaner } = await setting();
    const [one, other] = [room.process(), room.process()];
    const { result } = await cleaner.stopAt(step, () => cleaner.clear(room.namespace));
    const grant = await one.takeOne(lock);
    cleaner.continue();
    expect(await result).toBe('in use');
    expect(await other.tryAcquire(lock)).toBeNull();
    await one.release(lock, grant);
    await expectOneHolder(lock, one, other);
    await room.everybodyLeaves();
    expect(room.files()).toEqual([]);
  });

  it.each(['clear_joined', 'leave_gate_locked'])(
    'is not waited for by a second one, wherever it is: %s',
    async (step) => {
      const { room, cleaner } = await setting();
      const second = room.process();
      const { result } = await cleaner.stopAt(step, () => cleaner.clear(room.namespace));
      expect(await second.clear(room.namespace)).toBe('in use');
      cleaner.continue();
      expect(await result).toBe('cleared');
      expect(room.files()).toEqual([]);
    },
  );

  it('leaves it to the last of two that come at once', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { room, cleaner } = await setting();
      const both = [cleaner, room.process()].map((each) => each.clear(room.namespace));
      expect(await Promise.all(both)).toContain('cleared');
      expect(room.files()).toEqual([]);
    }
  });
});
