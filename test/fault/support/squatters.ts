// What a stranger may have put where semlock opens a file for somebody else, and what is expected of that one then.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';

import { expect, onTestFinished } from 'vitest';

import { NativeFailure, type LockDescription, type LockProcess } from './lock-process.js';
import type { PrivateShm } from './private-shm.js';

/** A user, and the only group that it is in. */
export const STRANGER = 2000;

/** A semaphore's file with that value, as glibc has it. */
export function semaphoreFile(path: string, value: number, owner: number, mode: number): void {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(value);
  writeFileSync(path, bytes);
  chownSync(path, owner, owner);
  chmodSync(path, mode);
}

export function strangers(path: string, mode: number): void {
  lchownSync(path, STRANGER, STRANGER);
  chmodSync(path, mode);
}

/** What belongs to the victim, with the value 5, and must not change by what somebody else has linked to it. */
export const precious = (shm: PrivateShm) => `${shm.path}/precious`;

export interface Squatter {
  readonly title: string;
  readonly squat: (path: string, shm: PrivateShm) => void;
}

const semaphores: Squatter[] = [
  { title: 'a semaphore for all to use', squat: (path) => semaphoreFile(path, 7, STRANGER, 0o666) },
  { title: 'a private semaphore', squat: (path) => semaphoreFile(path, 7, STRANGER, 0o600) },
];
const others: Squatter[] = [
  {
    title: 'an empty file',
    squat(path) {
      writeFileSync(path, '');
      strangers(path, 0o666);
    },
  },
  {
    title: 'a file as large as a table',
    squat(path) {
      writeFileSync(path, '');
      truncateSync(path, 1 << 24);
      strangers(path, 0o666);
    },
  },
  {
    title: 'a folder for all to use',
    squat(path) {
      mkdirSync(path);
      strangers(path, 0o777);
    },
  },
  {
    title: 'a private folder',
    squat(path) {
      mkdirSync(path);
      strangers(path, 0o700);
    },
  },
  {
    title: 'a symbolic link to nothing',
    squat(path) {
      symlinkSync('nothing', path);
      lchownSync(path, STRANGER, STRANGER);
    },
  },
  {
    title: 'a symbolic link to what is the victim’s',
    squat(path, shm) {
      symlinkSync(path.startsWith(`${shm.path}/sem`) ? 'precious' : '../precious', path);
      lchownSync(path, STRANGER, STRANGER);
    },
  },
  {
    title: 'a second name of a file of its own',
    squat(path, shm) {
      semaphoreFile(`${shm.path}/other`, 7, STRANGER, 0o666);
      linkSync(`${shm.path}/other`, path);
    },
  },
  {
    title: 'a pipe for all to use',
    squat(path) {
      execFileSync('mkfifo', [path]);
      strangers(path, 0o666);
    },
  },
  {
    title: 'a private pipe',
    squat(path) {
      execFileSync('mkfifo', [path]);
      strangers(path, 0o600);
    },
  },
  {
    title: 'a socket',
    squat(path) {
      execFileSync('python3', ['-c', 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])', path]);
      strangers(path, 0o666);
    },
  },
];
export const squatters: readonly Squatter[] = [...semaphores, ...others];
export const victimsFile: Squatter = {
  title: 'a second name of a file of the victim’s',
  squat: (path, shm) => linkSync(precious(shm), path),
};

/** The kind of the error that a try gives, or `'held'` or `'busy'`. */
export async function outcomeOf(process: LockProcess, of: LockDescription): Promise<string | undefined> {
  try {
    return (await process.tryAcquire(of)) === null ? 'busy' : 'held';
  } catch (error) {
    if (error instanceof NativeFailure) return error.kind;
    throw error;
  }
}

/** Two processes of the victim are refused for the file at `path`, and have the lock in turn once that is gone. */
export async function expectRefusal(
  { shm, process }: { readonly shm: PrivateShm; process(): LockProcess },
  path: string,
  of: LockDescription,
): Promise<void> {
  const [one, other] = [process(), process()];
  for (const each of [one, other]) expect(await outcomeOf(each, of)).toBe('UNTRUSTED');
  const inode = lstatSync(path).ino;
  for (const each of [one, other]) expect(mapped(each), 'mapped').not.toContain(inode);
  // Whoever has it mapped ends with SIGBUS when it is used.
  if (lstatSync(path).uid === STRANGER && lstatSync(path).isFile()) truncateSync(path);
  for (const each of [one, other]) expect(await outcomeOf(each, of)).toBe('UNTRUSTED');
  rmSync(path, { recursive: true });
  expect(await outcomeOf(one, of)).toBe('held');
  expect(await outcomeOf(other, of)).toBe('busy');
  expect(readFileSync(precious(shm)).readUInt32LE()).toBe(5);
}

/** The inodes of what a process has mapped. */
function mapped(process: LockProcess): number[] {
  const lines = readFileSync(`/proc/${process.pid}/maps`, 'utf8').trim().split('\n');
  return lines.map((line) => Number(line.split(/ +/)[4]));
}

/** Runs a program of the stranger's until the test, or the function that this gives, ends it. It has said its first line. */
export async function runAsStranger(shm: PrivateShm, program: string): Promise<() => Promise<void>> {
  const [command, ...args] = [...shm.throughAs(STRANGER), 'python3', '-c', program];
  // A python3 that this test finds before the system's may be where a stranger has no business.
  const env = { ...process.env, PATH: '/usr/bin:/bin:/usr/sbin:/sbin' };
  const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
  const ended = once(child, 'exit');
  const end = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  onTestFinished(end);
  const began = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
  expect(began).toBe(true);
  return end;
}
