// Two users of one machine: whatever one of them puts where semlock opens files for the other, the other has a clear
// error or a lock that works, and is neither ended by a signal, nor kept waiting, nor one of two holders.

import { execFileSync } from 'node:child_process';
import {
  chownSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';

import { describe, expect, it } from 'vitest';

import { namespaceId } from '../../src/names.js';
import type { Grant, LockDescription, LockProcess } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';
import {
  expectRefusal,
  outcomeOf,
  precious,
  runAsStranger,
  semaphoreFile,
  squatters,
  STRANGER,
  strangers,
  victimsFile,
  type Squatter,
} from './support/squatters.js';

const victims = [
  { who: 'a user', victim: 1000 },
  { who: 'root', victim: 0 },
];

const lock: LockDescription = { namespace: 'two users', name: 'lock' };
const shared: LockDescription = { ...lock, posixName: '/jobs' };

const cases = (kinds: readonly Squatter[]) =>
  victims.flatMap(({ who, victim }) => kinds.map((squatter) => ({ who, victim, ...squatter })));

interface Scene {
  readonly shm: PrivateShm;
  readonly folder: string;
  /** What the tables and inboxes of the namespace begin with. */
  readonly files: string;
  /** Another process of the victim. */
  process(): LockProcess;
}

async function scene(victim: number, options?: string): Promise<Scene> {
  const shm = await PrivateShm.mount(options);
  semaphoreFile(precious(shm), 5, victim, 0o600);
  const folder = shm.folderOf(victim);
  const files = `${folder}/${namespaceId(lock.namespace, { kind: 'user', id: victim })}`;
  return { shm, folder, files, process: () => shm.process(shm.throughAs(victim)) };
}

/** The folder as the victim's processes would make it. */
function makeFolder({ folder }: Scene, victim: number): void {
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, victim, victim);
}

describe('what a stranger puts in place of', () => {
  it.each(cases(squatters))('the folder of $who is not trusted: $title', async ({ victim, squat }) => {
    const here = await scene(victim);
    squat(here.folder, here.shm);
    await expect(here.process().query(lock.namespace)).rejects.toMatchObject({ kind: 'UNTRUSTED' });
    await expectRefusal(here, here.folder, lock);
  });

  it.each(cases([...squatters, victimsFile]))('a shared semaphore of $who is not trusted: $title', async (each) => {
    const here = await scene(each.victim);
    const path = `${here.shm.path}/sem.jobs`;
    each.squat(path, here.shm);
    await expect(here.process().call('semOpen', '/jobs', 1)).rejects.toMatchObject({ kind: 'UNTRUSTED' });
    await expect(here.process().call('semOpen', '/jobs', 1, 0o660)).rejects.toMatchObject({ kind: 'UNTRUSTED' });
    await expectRefusal(here, path, shared);
  });

  it.each(cases(squatters))('a table of $who is not trusted: $title', async ({ victim, squat }) => {
    const here = await scene(victim);
    makeFolder(here, victim);
    squat(`${here.files}.table`, here.shm);
    await expect(here.process().query(lock.namespace)).rejects.toMatchObject({ kind: 'UNTRUSTED' });
    await expectRefusal(here, `${here.files}.table`, lock);
  });

  it.each(cases([victimsFile]))('a table of $who makes way for one: $title', async ({ victim, squat }) => {
    const here = await scene(victim);
    makeFolder(here, victim);
    squat(`${here.files}.table`, here.shm);
    const [one, other] = [here.process(), here.process()];
    expect(await outcomeOf(one, lock)).toBe('held');
    expect(await outcomeOf(other, lock)).toBe('busy');
    expect(readFileSync(precious(here.shm)).readUInt32LE()).toBe(5);
  });
});

/** One process of the victim waits, is handed the lock by another one, and gives it back. */
async function handOver(holder: LockProcess, waiter: LockProcess, meanwhile: () => void = () => {}): Promise<void> {
  const grant = await holder.takeOne(lock);
  const waiting = waiter.waitInTurn(lock) as Promise<Grant>;
  await expect.poll(async () => (await holder.query(lock.namespace))[0]?.waiters.length).toBe(1);
  meanwhile();
  expect(await holder.tryAcquire(lock)).toBeNull();
  await holder.release(lock, grant);
  expect(await holder.tryAcquire(lock)).toBeNull();
  await waiter.release(lock, await waiting);
}

describe('what a stranger once put in place of an inbox', () => {
  const kinds = [...squatters, victimsFile];

  it.each(cases(kinds))('of $who hinders no hand-over, and is not written to: $title', async ({ victim, squat }) => {
    const here = await scene(victim);
    makeFolder(here, victim);
    const inboxes = [0, 1, 2].map((slot) => `${here.files}.inbox-${slot}-1`);
    for (const path of inboxes) {
      rmSync(`${here.shm.path}/other`, { force: true });
      squat(path, here.shm);
    }
    const [holder, waiter] = [here.process(), here.process()];
    await handOver(holder, waiter);
    await handOver(waiter, holder);
    // And where it comes after the inbox, as when its owner has died.
    let before: unknown;
    const path = inboxes[1]!; // the waiter's
    await handOver(holder, waiter, () => {
      rmSync(path, { recursive: true, force: true });
      rmSync(`${here.shm.path}/other`, { force: true });
      squat(path, here.shm);
      before = contentOf(path);
    });
    expect(contentOf(path)).toEqual(before);
    expect(readFileSync(precious(here.shm)).readUInt32LE()).toBe(5);
  });
});

function contentOf(path: string): unknown {
  const info = lstatSync(path);
  if (info.isFile()) return readFileSync(path).subarray(0, 64);
  return info.isFIFO() ? messagesIn(path) : undefined;
}

/** How many bytes wait in a pipe to be read, 64 at most. */
function messagesIn(pipe: string): number {
  const fd = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    return readSync(fd, Buffer.alloc(64));
  } catch {
    return 0; // EAGAIN
  } finally {
    closeSync(fd);
  }
}

const SWAPS = `import os
os.chdir('/dev/shm')
print('swaps', flush=True)
while True:
    for a, b in ('sem.jobs', 'good'), ('evil', 'sem.jobs'), ('sem.jobs', 'evil'), ('good', 'sem.jobs'):
        os.rename(a, b)`;

describe('in a /dev/shm without its sticky bit', () => {
  it.each(victims)('a semaphore that is swapped all the time is never that of a stranger, to $who', async (each) => {
    const { shm, process } = await scene(each.victim, 'size=64m,mode=0777');
    semaphoreFile(`${shm.path}/sem.jobs`, 1, each.victim, 0o600);
    semaphoreFile(`${shm.path}/evil`, 7, STRANGER, 0o666);
    await runAsStranger(shm, SWAPS);
    const results = await process().call<Record<string, number>>('openFor', '/jobs', 1500);
    expect(Object.keys(results).filter((each) => !['1', 'UNTRUSTED', 'ENOENT'].includes(each))).toEqual([]);
    for (const result of ['1', 'UNTRUSTED']) expect(results[result], result).toBeGreaterThan(0);
  });

  it.each(victims)(
    'a stranger who swaps the folder of $who gets no messages, and lets nobody in twice',
    async (each) => {
      const here = await scene(each.victim, 'size=64m,mode=0777');
      const [holder, waiter, newcomer] = [here.process(), here.process(), here.process()];
      for (const each of [holder, waiter]) expect(await each.count(lock)).toBe(1);
      renameSync(here.folder, `${here.folder}.away`);
      mkdirSync(here.folder);
      strangers(here.folder, 0o777);
      const pipe = `${here.files}.inbox-1-1`;
      execFileSync('mkfifo', [pipe]);
      strangers(pipe, 0o666);
      const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
      await handOver(holder, waiter);
      expect(() => readSync(reader, Buffer.alloc(8))).toThrow('EAGAIN');
      expect(lstatSync(pipe).uid).toBe(STRANGER);
      closeSync(reader);
      await holder.takeOne(lock);
      expect(await outcomeOf(newcomer, lock)).toBe('UNTRUSTED');
      rmSync(here.folder, { recursive: true });
      expect(await outcomeOf(newcomer, lock)).toBe('TABLE_LOST');
    },
  );
});

const LOCKS_ALL = `import fcntl, os, struct, sys
F_OFD_SETLK = 37
fcntl.fcntl(os.open('/dev/shm', os.O_RDONLY), F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 0, 0, 0))
print('locked', flush=True)
sys.stdin.read()`;

describe('a stranger who locks all bytes of /dev/shm', () => {
  it.each(victims)('keeps $who from a new table with an error, and disturbs nobody who has one', async (each) => {
    const { shm, process } = await scene(each.victim);
    const [one, other, third] = [process(), process(), process()];
    const end = await runAsStranger(shm, LOCKS_ALL);
    expect(await outcomeOf(one, lock)).toBe('TABLE_LOST');
    await end();
    expect(await outcomeOf(one, lock)).toBe('held');
    await runAsStranger(shm, LOCKS_ALL);
    expect(await outcomeOf(other, lock)).toBe('busy');
    await one.kill();
    expect(await outcomeOf(other, lock)).toBe('held');
    expect(await outcomeOf(third, lock)).toBe('busy');
  });
});
