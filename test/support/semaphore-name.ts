// Names of POSIX semaphores for tests: each its own, and gone from /dev/shm when the test is over.

import { rmSync } from 'node:fs';

import { onTestFinished } from 'vitest';

let count = 0;

/** A name that no other test uses. */
export function scratchSemaphore(): string {
  count += 1;
  const name = `/semlock-test.${process.pid}.${count}`;
  onTestFinished(() => rmSync(backingFile(name), { recursive: true, force: true }));
  return name;
}

/** The file that a named semaphore is on Linux. */
export function backingFile(name: string): string {
  return `/dev/shm/sem.${name.slice(1)}`;
}
