// Locks of a group, and locks of a user that root takes: their owners exclude each other, whichever process dies, and no
// other user has the locks.

import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { namespaceId, type Owners } from '../../src/names.js';
import type { Grant, LockDescription, LockProcess } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';
import {
  expectRefusal,
  outcomeOf,
  precious,
  semaphoreFile,
  squatters,
  STRANGER,
  victimsFile,
} from './support/squatters.js';

const [USER, OTHER, GROUP] = [1000, 1001, 3000];

const ofGroup: Owners = { kind: 'group', id: GROUP };
const ofUser: Owners = { kind: 'user', id: USER };
const lock: LockDescription = { namespace: 'owners', name: 'lock' };

/** One process for each owner of the locks; `umask` is for the process that is started with it. */
interface Party {
  readonly title: string;
  readonly owners: Owners;
  one(shm: PrivateShm, umask?: string): LockProcess;
  other(shm: PrivateShm, umask?: string): LockProcess;
}

const withUmask = (through: [string, ...string[]], umask = '022'): [string, ...string[]] => [
  ...through,
  'sh',
  '-c',
  `umask ${umask} && exec "$@"`,
  'sh',
];
const member = (shm: PrivateShm, umask?: string) => shm.process(withUmask(shm.throughAs(USER, USER, [GROUP]), umask));
const ofItsOwnGroup = (shm: PrivateShm, umask?: string) => shm.process(withUmask(shm.throughAs(OTHER, GROUP), umask));
const user = (shm: PrivateShm, umask?: string) => shm.process(withUmask(shm.throughAs(USER), umask));
const root = (shm: PrivateShm, umask?: string) => shm.process(withUmask(shm.through, umask));
const stranger = (shm: PrivateShm) => shm.process(shm.throughAs(STRANGER));

const parties: Party[] = [
  { title: 'members of a group', owners: ofGroup, one: member, other: ofItsOwnGroup },
  { title: 'a member and root', owners: ofGroup, one: member, other: root },
  { title: 'root and a member', owners: ofGroup, one: root, other: ofItsOwnGroup },
  { title: 'a user and root', owners: ofUser, one: user, other: root },
  { title: 'root and a user', owners: ofUser, one: root, other: user },
];

describe.each(parties)('$title', ({ owners, one: startOne, other: startOther }) => {
  const own = { ...lock, owners };

  it.each(['022', '077', '777'])('exclude each other, and hand over, with umask %s', async (umask) => {
    const shm = await PrivateShm.mount();
    const [one, other] = [startOne(shm, umask), startOther(shm, umask)];
    for (const [holder, waiter] of [
      [one, other],
      [other, one],
    ] as const) {
      const grant = await holder.takeOne(own);
      expect(await waiter.tryAcquire(own)).toBeNull();
      const waiting = waiter.waitInTurn(own) as Promise<Grant>;
      await expect.poll(async () => (await holder.query(own.namespace, owners))[0]?.waiters.length).toBe(1);
      expect(await holder.release(own, grant)).toBe(true);
      expect(await waiter.release(own, await waiting)).toBe(true);
    }
  });

  it('free what the other died with, and clear away all that they have made', async () => {
    const shm = await PrivateShm.mount();
    for (const [startDying, startNext] of [
      [startOne, startOther],
      [startOther, startOne],
    ] as const) {
      const [dying, next] = [startDying(shm), startNext(shm)];
      await dying.takeOne(own);
      expect(await next.tryAcquire(own)).toBeNull();
      await dying.kill();
      const grant = await next.takeOne(own);
      expect(grant.abandoned).toBe(true);
      await next.release(own, grant);
      await next.exit();
      // Who did not make the group's folder cannot remove it.
      const folders = readdirSync(shm.path);
      expect(folders.filter((name) => name !== `semlock-group-${GROUP}`)).toEqual([]);
      for (const folder of folders) expect(readdirSync(`${shm.path}/${folder}`)).toEqual([]);
    }
  });

  it('share a semaphore with other programs', async () => {
    const shm = await PrivateShm.mount();
    const shared = { ...own, posixName: '/jobs' };
    const [one, other] = [startOne(shm, '077'), startOther(shm, '777')];
    await one.takeOne(shared);
    expect(await other.tryAcquire(shared)).toBeNull();
    await one.kill();
    await other.releaseAll(shared, await other.take(shared, 1));
    const { mode, uid, gid } = lstatSync(`${shm.path}/sem.jobs`);
    if (owners.kind === 'group') expect({ mode: mode & 0o7777, gid }).toEqual({ mode: 0o660, gid: GROUP });
    else expect({ mode: mode & 0o7777, uid }).toEqual({ mode: 0o600, uid: USER });
  });
});

describe('the files', () => {
  it('of a group are those of its members alone', async () => {
    const shm = await PrivateShm.mount();
    const [one, other] = [member(shm, '777'), ofItsOwnGroup(shm)];
    const own = { ...lock, owners: ofGroup };
    for (const each of [one, other]) await each.release(own, (await each.waitInTurn(own))!);
    const folder = `${shm.path}/semlock-group-${GROUP}`;
    const modes = readdirSync(folder).map((name) => lstatSync(`${folder}/${name}`));
    expect(modes).toHaveLength(3); // the table, and two inboxes
    for (const { mode, gid } of modes) expect({ mode: mode & 0o7777, gid }).toEqual({ mode: 0o660, gid: GROUP });
    expect(lstatSync(folder)).toMatchObject({ gid: GROUP });
    expect(lstatSync(folder).mode & 0o7777).toBe(0o2770);
    expect(readdirSync(shm.path), 'no semaphores that others could not remove').toEqual([`semlock-group-${GROUP}`]);
  });

  it('that root makes for a user are that user’s', async () => {
    const shm = await PrivateShm.mount();
    const one = root(shm);
    const own = { ...lock, owners: ofUser };
    await one.release(own, (await one.waitInTurn(own))!);
    const folder = shm.folderOf(USER);
    const all = [folder, ...readdirSync(folder).map((name) => `${folder}/${name}`)];
    const semaphores = readdirSync(shm.path).filter((name) => name.startsWith('sem.'));
    expect(semaphores).toHaveLength(1);
    for (const path of [...all, ...semaphores.map((name) => `${shm.path}/${name}`)]) {
      expect(lstatSync(path), path).toMatchObject({ uid: USER });
      expect(lstatSync(path).mode & 0o077, path).toBe(0);
    }
  });
});

describe('who has no business there', () => {
  it('is told so: a process that is not in the group', async () => {
    const shm = await PrivateShm.mount();
    const own = { ...lock, owners: ofGroup };
    for (const before of [false, true]) {
      if (before) await member(shm).takeOne(own);
      expect(await outcomeOf(stranger(shm), own)).toBe('GROUP');
      await expect(stranger(shm).query(own.namespace, ofGroup)).rejects.toMatchObject({ kind: 'GROUP' });
    }
  });

  it('is told so: another user than root', async () => {
    const shm = await PrivateShm.mount();
    const own = { ...lock, owners: ofUser };
    for (const before of [false, true]) {
      if (before) await user(shm).takeOne(own);
      expect(await outcomeOf(stranger(shm), own)).toBe('USER');
      await expect(stranger(shm).query(own.namespace, ofUser)).rejects.toMatchObject({ kind: 'USER' });
    }
  });

  it('has other locks: the same name of the user alone, and of the group', async () => {
    const shm = await PrivateShm.mount();
    const one = member(shm);
    await one.takeOne(lock);
    await one.takeOne({ ...lock, owners: ofGroup });
    expect(await one.tryAcquire({ ...lock, owners: ofUser }), 'named, it is the same as without a name').toBeNull();
  });
});

describe('what a stranger puts in place of', () => {
  it.each(squatters)('the folder of a group is not trusted: $title', async ({ squat }) => {
    const shm = await PrivateShm.mount();
    semaphoreFile(precious(shm), 5, USER, 0o600);
    const path = `${shm.path}/semlock-group-${GROUP}`;
    squat(path, shm);
    await expect(member(shm).query(lock.namespace, ofGroup)).rejects.toMatchObject({ kind: 'UNTRUSTED' });
    await expectRefusal({ shm, process: () => member(shm) }, path, { ...lock, owners: ofGroup });
  });

  it.each([...squatters, victimsFile])('a semaphore of a group is not trusted: $title', async ({ squat }) => {
    const shm = await PrivateShm.mount();
    semaphoreFile(precious(shm), 5, USER, 0o600);
    const path = `${shm.path}/sem.jobs`;
    squat(path, shm);
    await expectRefusal({ shm, process: () => member(shm) }, path, { ...lock, posixName: '/jobs', owners: ofGroup });
  });

  it.each(squatters)('the folder of a user is not trusted by root: $title', async ({ squat }) => {
    const shm = await PrivateShm.mount();
    semaphoreFile(precious(shm), 5, USER, 0o600);
    squat(shm.folderOf(USER), shm);
    await expectRefusal({ shm, process: () => root(shm) }, shm.folderOf(USER), { ...lock, owners: ofUser });
  });

  it.each([0o770, 0o2775, 0o2777, 0o3770])('the mode of a group’s folder is not trusted: %o', async (mode) => {
    const shm = await PrivateShm.mount();
    const path = `${shm.path}/semlock-group-${GROUP}`;
    mkdirSync(path);
    chownSync(path, USER, GROUP);
    chmodSync(path, mode);
    semaphoreFile(precious(shm), 5, USER, 0o600);
    await expectRefusal({ shm, process: () => member(shm) }, path, { ...lock, owners: ofGroup });
  });

  it('a table leads root, as that user, to no file of root’s', async () => {
    const shm = await PrivateShm.mount();
    semaphoreFile(precious(shm), 5, 0, 0o600);
    mkdirSync(shm.folderOf(USER), { mode: 0o700 });
    chownSync(shm.folderOf(USER), USER, USER);
    const table = `${shm.folderOf(USER)}/${namespaceId(lock.namespace, ofUser)}.table`;
    symlinkSync('../precious', table);
    await expectRefusal({ shm, process: () => root(shm) }, table, { ...lock, owners: ofUser });
    expect(readFileSync(precious(shm)).readUInt32LE()).toBe(5);
  });
});

describe('a process of root that becomes a user', () => {
  it('is refused its locks and new ones, gives back what it holds, and goes on with those of that user', async () => {
    const shm = await PrivateShm.mount();
    const server = root(shm);
    const own = { ...lock, owners: ofUser };
    const held = await server.takeOne(lock);
    const used = { ...lock, name: 'used' };
    expect(await server.count(used)).toBe(1);
    const ofThatUser = await server.takeOne(own);
    await server.call('becomeUser', USER);
    for (const each of [lock, used, { ...lock, name: 'new' }]) {
      expect(await outcomeOf(server, each)).toBe('USER');
      await expect(server.wait(each, 10)).rejects.toMatchObject({ kind: 'USER' });
      await expect(server.waitInTurn(each)).rejects.toMatchObject({ kind: 'USER' });
      await expect(server.call('steal', each)).rejects.toMatchObject({ kind: 'USER' });
    }
    expect(await server.release(lock, held)).toBe(true);
    const worker = user(shm);
    expect(await worker.tryAcquire(lock), 'of the same namespace and name').toBeNull();
    expect(await server.release(own, ofThatUser)).toBe(true);
    await worker.release(lock, await worker.takeOne(lock));
    await server.releaseAll(own, await server.take(own, 1));
    await server.exit();
  });
});
