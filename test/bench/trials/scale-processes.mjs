// One acquire and release, when many other processes have the lock open.

import { setTimeout as sleep } from 'node:timers/promises';

import { Lock } from '../../../dist/index.js';
import { inTrial, now } from '../harness/in-trial.mjs';
import { sharedBytes } from '../harness/shared-memory.mjs';
import { startWorker } from '../harness/workers.mjs';

/** Processes that have just started go on compiling and collecting garbage, which is not what is asked here. */
const SETTLE_MS = 2_000;

await inTrial(async ({ processes, pairs, place }) => {
  const joiner = new URL('scale-processes-joiner.mjs', import.meta.url);
  const others = await Promise.all(Array.from({ length: processes - 1 }, () => startWorker(joiner, { place })));
  await sleep(SETTLE_MS);
  const before = process.memoryUsage.rss();
  const lock = new Lock('bench', { namespace: place.namespace });
  const run = (count) => {
    for (let i = 0; i < count; i++) lock.tryAcquire().release();
  };
  run(pairs / 4);
  const start = now();
  run(pairs);
  const result = {
    operationNs: (now() - start) / pairs,
    memoryBytes: Math.max(0, process.memoryUsage.rss() - before),
    sharedBytes: sharedBytes(place.namespace),
  };
  for (const { worker } of others) worker.send({});
  await Promise.all(others.map(({ ended }) => ended));
  return result;
});
