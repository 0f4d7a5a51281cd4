// Namespaces for tests: each its own, and nothing of them left in /dev/shm afterwards.

import { randomUUID } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';

import { afterAll } from 'vitest';

import { namespaceId } from '../../src/names.js';

/**
 * A namespace that no other test uses. A process that ends by itself leaves nothing of it; for those that a test killed,
 * its semaphores are removed when the tests of the file are over.
 */
export function scratchNamespace(): string {
  const namespace = `test-${randomUUID()}`;
  afterAll(() => {
    for (const file of semaphoresOf(namespace)) rmSync(`/dev/shm/${file}`, { force: true });
  });
  return namespace;
}

/** The files of the semaphores that a namespace has in the system at this moment. */
export function semaphoresOf(namespace: string): string[] {
  const prefix = `sem.semlock.${namespaceId(namespace).slice(0, 8)}`;
  return readdirSync('/dev/shm').filter((file) => file.startsWith(prefix));
}
