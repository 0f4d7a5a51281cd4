// What the locks of a namespace take of /dev/shm.

import { readdirSync, statSync } from 'node:fs';

import { namespaceId } from '../../../dist/names.js';

const SHM = '/dev/shm';
const BLOCK_BYTES = 512;

/** The bytes that its table and its semaphores occupy at this moment. */
export function sharedBytes(namespace) {
  const id = namespaceId(namespace);
  const semaphores = readdirSync(SHM).filter((file) => file.startsWith(`sem.semlock.${id.slice(0, 8)}`));
  const files = [`semlock-${process.getuid()}/${id}.table`, ...semaphores];
  return files.reduce((sum, file) => sum + statSync(`${SHM}/${file}`).blocks * BLOCK_BYTES, 0);
}
