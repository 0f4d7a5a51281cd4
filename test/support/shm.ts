// Namespaces for tests: each its own, and nothing of them left in /dev/shm afterwards.

import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';

import { afterAll, onTestFinished, TestRunner } from 'vitest';

import { namespaceId, posixNamespaceId } from '../../src/names.js';

/**
 * A namespace that no other test uses. A process that ends by itself with no lock in hand leaves nothing of it; what
 * others leave, those that a test killed above all, is removed when the test is over, or those of the file.
 */
export function scratchNamespace(): string {
  const namespace = `test-${randomUUID()}`;
  const atTheEnd = TestRunner.getCurrentTest() === undefined ? afterAll : onTestFinished;
  atTheEnd(() => removeFilesOf(namespace));
  return namespace;
}

const FOLDER = `/dev/shm/semlock-${process.geteuid!()}`;

/** As the last process to leave does, when nothing keeps it from that. */
export function removeFilesOf(namespace: string): void {
  for (const file of filesOf(namespace)) rmSync(file, { force: true });
  try {
    rmdirSync(FOLDER);
  } catch {
    // Others have their tables in it, or it is gone.
  }
}

/** The file of a namespace's lock table, which need not exist. */
export function tableOf(namespace: string): string {
  return `${FOLDER}/${namespaceId(namespace)}.table`;
}

/** All that a namespace has in the system at this moment. */
export function filesOf(namespace: string): string[] {
  return [...inFolder(namespaceId(namespace)), ...semaphoresOf(namespace).map((file) => `/dev/shm/${file}`)];
}

/** What a lock with a `posixName` has in the system at this moment, beside its semaphore. */
export function filesOfPosix(posixName: string): string[] {
  return inFolder(posixNamespaceId(posixName));
}

function inFolder(id: string): string[] {
  const files = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  return files.filter((file) => file.startsWith(`${id}.`)).map((file) => `${FOLDER}/${file}`);
}

/** The files of the semaphores that a namespace has in the system at this moment. */
export function semaphoresOf(namespace: string): string[] {
  const prefix = `sem.semlock.${namespaceId(namespace).slice(0, 8)}`;
  return readdirSync('/dev/shm').filter((file) => file.startsWith(prefix));
}
