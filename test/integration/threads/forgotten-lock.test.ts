// What becomes of a lock that nobody has a reference to any more.

import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

import { expect, it } from 'vitest';

import { scratchNamespace } from '../../support/shm.js';
import { Lock } from '../../../dist/index.js';

const namespace = scratchNamespace();

it('a lock that was forgotten while it was held stays held until its thread ends, and is free then', async () => {
  setFlagsFromString('--expose-gc'); // for the threads to come
  const worker = new Worker(new URL('forgetful-thread.mjs', import.meta.url), { workerData: namespace });
  await once(worker, 'message');

  const lock = new Lock('forgotten', { namespace });
  expect(lock.tryAcquire()).toBeNull();

  await worker.terminate();
  const held = lock.tryAcquire();
  expect(held?.abandoned).toBe(true);
  held?.release();
});
