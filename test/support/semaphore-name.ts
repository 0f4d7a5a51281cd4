// Names of POSIX semaphores for tests: each its own, and gone from /dev/shm when the test is over, with what a lock of
// that `posixName` leaves when its holders are killed.

import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';

import { onTestFinished } from 'vitest';

import { filesOfPosix } from './shm.js';

/** A name that no other test uses. */
export function scratchSemaphore(): string {
  const name = `/semlock-test.${randomUUID()}`;
  onTestFinished(() => {
    for (const file of [backingFile(name), ...filesOfPosix(name)]) rmSync(file, { recursive: true, force: true });
  });
  return name;
}

/** The file that a named semaphore is on Linux. */
export function backingFile(name: string): string {
  return `/dev/shm/sem.${name.slice(1)}`;
}
