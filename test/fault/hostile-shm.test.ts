// What may lie in /dev/shm, or happen to it: a clear error or a working lock, and never a crash or two holders.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';

import { describe, expect, it } from 'vitest';

import { runProgram } from '../support/run-program.js';
import type { LockProcess } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';

const NOBODY = 65534;
const lock = { namespace: 'hostile', name: 'lock' };
const { ENOENT, ENOSPC, EROFS } = constants.errno;

function makeFolder(shm: PrivateShm): void {
  mkdirSync(shm.folder, { mode: 0o700 });
}

/** Leaves the table of a process that was killed. */
async function makeTable(shm: PrivateShm): Promise<string> {
  const process = shm.process();
  await process.take(lock, 1);
  await process.kill();
  return shm.tableOf(lock.namespace);
}

/** Exactly one of both can have the lock. */
async function expectExclusion(one: LockProcess, other: LockProcess, of = lock): Promise<void> {
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const [grant] = await first.take(of, 1);
    expect(await second.tryAcquire(of)).toBeNull();
    await first.release(of, grant!);
  }
}

function overwrite(file: string, at: number, bytes: Buffer): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

const squatters: { title: string; squat(shm: PrivateShm): void }[] = [
  {
    title: 'a folder of another user',
    squat(shm) {
      makeFolder(shm);
      chownSync(shm.folder, NOBODY, NOBODY);
    },
  },
  {
    title: 'a folder that others may enter',
    squat(shm) {
      makeFolder(shm);
      chmodSync(shm.folder, 0o755);
    },
  },
  {
    title: 'a symbolic link to a folder',
    squat(shm) {
      mkdirSync(`${shm.path}/elsewhere`, { mode: 0o700 });
      symlinkSync('elsewhere', shm.folder);
    },
  },
  { title: 'a file in the place of the folder', squat: (shm) => writeFileSync(shm.folder, '', { mode: 0o600 }) },
  {
    title: 'a table of another user',
    squat(shm) {
      makeFolder(shm);
      writeFileSync(shm.tableOf(lock.namespace), '', { mode: 0o600 });
      chownSync(shm.tableOf(lock.namespace), NOBODY, NOBODY);
    },
  },
  {
    title: 'a table that others may read',
    squat(shm) {
      makeFolder(shm);
      writeFileSync(shm.tableOf(lock.namespace), '', { mode: 0o644 });
    },
  },
  {
    title: 'a symbolic link to a table',
    squat(shm) {
      makeFolder(shm);
      writeFileSync(`${shm.path}/elsewhere`, '', { mode: 0o600 });
      symlinkSync('../elsewhere', shm.tableOf(lock.namespace));
    },
  },
  {
    title: 'a folder in the place of the table',
    squat(shm) {
      makeFolder(shm);
      mkdirSync(shm.tableOf(lock.namespace), { mode: 0o700 });
    },
  },
  {
    title: 'a pipe in the place of the table',
    squat(shm) {
      makeFolder(shm);
      execFileSync('mkfifo', ['--mode=600', shm.tableOf(lock.namespace)]);
    },
  },
];

describe('a place that somebody has squatted with', () => {
  it.each(squatters)('$title is not trusted', async ({ squat }) => {
    const shm = await PrivateShm.mount();
    squat(shm);
    const process = shm.process();
    await expect(process.tryAcquire(lock)).rejects.toMatchObject({ kind: 'UNTRUSTED' });

    rmSync(shm.folder, { recursive: true });
    expect(await process.count(lock), 'once it is gone').toBe(1);
  });
});

describe('a table that nobody uses', () => {
  it.each([0, 1, 100, 4096, 5000, 1_000_000])('is made anew when it was cut off after %d bytes', async (bytes) => {
    const shm = await PrivateShm.mount();
    const table = await makeTable(shm);
    truncateSync(table, bytes);
    await expectExclusion(shm.process(), shm.process());
  });

  it('is made anew when it holds garbage', async () => {
    const shm = await PrivateShm.mount();
    const table = await makeTable(shm);
    overwrite(table, 0, randomBytes(200_000));
    await expectExclusion(shm.process(), shm.process());
  });

  it('is made anew when it was made by another version', async () => {
    const shm = await PrivateShm.mount();
    const table = await makeTable(shm);
    overwrite(table, 8, Buffer.from([99, 0, 0, 0]));
    await expectExclusion(shm.process(), shm.process());
  });

  it.each([1, 2, 3, 4, 5])('ends in no crash when it holds garbage behind its header (attempt %d)', async () => {
    const shm = await PrivateShm.mount();
    const table = await makeTable(shm);
    const reserved = statSync(table).blocks * 512;
    overwrite(table, 40, randomBytes(reserved - 40)); // the table's latch, slots, index and records
    const [one, other] = [shm.process(), shm.process()];
    const results = await Promise.allSettled([one, other].map((each) => each.tryAcquire(lock)));
    const holders = results.filter((result) => result.status === 'fulfilled' && result.value !== null);
    expect(holders.length).toBeLessThanOrEqual(1);
    // They still run.
    for (const each of [one, other]) expect(await each.call('memory')).toBeGreaterThan(0);
  });
});

describe('a table that is in use by processes of another version', () => {
  it.each([
    { title: 'another layout', at: 8, bytes: Buffer.from([99, 0, 0, 0]) },
    { title: 'another magic number', at: 0, bytes: Buffer.from('whatever') },
    { title: 'records of another size', at: 20, bytes: Buffer.from([0, 2, 0, 0]) },
  ])('keeps newcomers out: $title', async ({ at, bytes }) => {
    const shm = await PrivateShm.mount();
    const [one, other, newcomer] = [shm.process(), shm.process(), shm.process()];
    for (const each of [one, other]) await each.count(lock);
    overwrite(shm.tableOf(lock.namespace), at, bytes);
    await expect(newcomer.tryAcquire(lock)).rejects.toMatchObject({ kind: 'LAYOUT' });
    await expectExclusion(one, other);

    for (const each of [one, other]) await each.exit();
    expect(await newcomer.count(lock), 'when they are gone').toBe(1);
  });
});

describe('a /dev/shm', () => {
  it('without room for a table gives the system’s error, and works once there is room', async () => {
    const shm = await PrivateShm.mount('size=256k');
    writeFileSync(`${shm.path}/filler`, Buffer.alloc(200 * 1024));
    const process = shm.process();
    await expect(process.tryAcquire(lock)).rejects.toMatchObject({ errno: ENOSPC });
    rmSync(`${shm.path}/filler`);
    expect(await process.count(lock)).toBe(1);
  });

  it('that fills up later refuses new locks and keeps those that are held', async () => {
    const shm = await PrivateShm.mount('size=1m');
    const [one, other] = [shm.process(), shm.process()];
    const [grant] = await one.take(lock, 1);
    const filler = openSync(`${shm.path}/filler`, 'w');
    expect(() => {
      for (;;) writeSync(filler, Buffer.alloc(4096));
    }).toThrow('ENOSPC');
    closeSync(filler);

    expect(await one.count({ ...lock, name: 'new' }), 'without a semaphore in the file system').toBe(1);
    await expect(one.tryAcquire({ ...lock, name: 'shared', posixName: '/shared' })).rejects.toMatchObject({
      errno: ENOSPC,
    });
    const many = await one.call<{ held: number; error: string }>('holdEach', { ...lock, named: false }, 'n', 0, 5000);
    expect(many.error).toBe('CAPACITY');
    expect(await other.tryAcquire(lock)).toBeNull();
    expect(await one.release(lock, grant!)).toBe(true);
    await expectExclusion(one, other);

    rmSync(`${shm.path}/filler`);
    expect(await other.count({ ...lock, name: 'new' }), 'once there is room').toBe(1);
  });

  it.each([
    { title: 'has no file left for a folder', files: 1 },
    { title: 'has no file left for a table', files: 2 },
    { title: 'has no file left for the name of a table', files: 3 },
    { title: 'has no file left for a semaphore', files: 4, semaphore: true },
    { title: 'may have no file so large', limit: 1024, code: 'ERR_SEMLOCK_SYSTEM', says: 'ulimit -f' },
  ])('that $title says so, and what to do', ({ files = 0, semaphore, limit = 'unlimited', code, says }) => {
    const use = `const { Lock, NamedSemaphore } = require('semlock');
      try { new Lock('a').tryAcquire(); ${semaphore === true ? "NamedSemaphore.create('/a');" : ''} }
      catch ({ code, message }) { console.log(code, message); }`;
    const script = `mount -t tmpfs -o mode=1777,nr_inodes=${files} tmpfs /dev/shm; ulimit -f ${limit}; "$0" -e "$1"`;
    const { stdout } = runProgram('unshare', ['--mount', 'bash', '-c', script, process.execPath, use]);
    expect(stdout).toContain(`${code ?? 'ERR_SEMLOCK_CAPACITY'} `);
    expect(stdout).toContain(says ?? 'df -i');
  });

  it('that cannot be written to gives the system’s error', async () => {
    const shm = await PrivateShm.mount('ro');
    await expect(shm.process().tryAcquire(lock)).rejects.toMatchObject({ errno: EROFS });
  });

  it('that does not exist gives the system’s error', async () => {
    const shm = await PrivateShm.none();
    expect(existsSync(shm.path)).toBe(false);
    await expect(shm.process().tryAcquire(lock)).rejects.toMatchObject({ errno: ENOENT });
  });
});

describe('files that are removed under running processes', () => {
  it.each([
    { title: 'the folder', remove: (shm: PrivateShm) => rmSync(shm.folder, { recursive: true }) },
    { title: 'the table', remove: (shm: PrivateShm) => rmSync(shm.tableOf(lock.namespace)) },
    {
      title: 'everything',
      remove: (shm: PrivateShm) => {
        for (const file of readdirSync(shm.path)) rmSync(`${shm.path}/${file}`, { recursive: true });
      },
    },
  ])('$title: they go on, newcomers are refused until the last of them is gone', async ({ remove }) => {
    const shm = await PrivateShm.mount();
    const [one, other, newcomer] = [shm.process(), shm.process(), shm.process()];
    for (const each of [one, other]) await each.count(lock);
    const [grant] = await one.take(lock, 1);
    remove(shm);
    await expect(newcomer.tryAcquire(lock)).rejects.toMatchObject({ kind: 'TABLE_LOST' });
    expect(await other.tryAcquire(lock)).toBeNull();
    await one.release(lock, grant!);
    await expectExclusion(one, other);

    await one.exit();
    await expect(newcomer.tryAcquire(lock)).rejects.toMatchObject({ kind: 'TABLE_LOST' });
    await other.exit();
    await expectExclusion(newcomer, shm.process());
    await newcomer.exit();
  });

  it('the semaphores: old users and new ones still exclude each other', async () => {
    for (const permits of [1, 3]) {
      const shm = await PrivateShm.mount();
      const some = { ...lock, permits };
      const [one, newcomer] = [shm.process(), shm.process()];
      const grants = await one.take(some, permits);
      for (const file of readdirSync(shm.path)) {
        if (file.startsWith('sem.')) rmSync(`${shm.path}/${file}`);
      }
      expect(await newcomer.tryAcquire(some)).toBeNull();
      await one.release(some, grants[0]!);
      const taken = await newcomer.take(some, 1);
      expect(await newcomer.tryAcquire(some)).toBeNull();
      expect(await one.tryAcquire(some)).toBeNull();
      await newcomer.releaseAll(some, taken);
      await one.releaseAll(some, grants.slice(1));
      for (const each of [one, newcomer]) expect(await each.count(some)).toBe(permits);
    }
  });
});
