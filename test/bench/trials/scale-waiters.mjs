// One grant, when many wait for a lock in one process, and each gives it back at once.

import { Lock } from '../../../dist/index.js';
import { inTrial, now } from '../harness/in-trial.mjs';
import { sharedBytes } from '../harness/shared-memory.mjs';

await inTrial(async ({ waiters, grants, place }) => {
  const lock = new Lock('bench', { namespace: place.namespace });
  let waitingNs = 0;
  let memoryBytes = 0;
  const rounds = Math.ceil(grants / waiters);
  for (let round = 0; round < rounds; round++) {
    const before = process.memoryUsage.rss();
    const held = await lock.acquire();
    const all = Array.from({ length: waiters }, () => lock.acquire().then((granted) => granted.release()));
    memoryBytes = Math.max(memoryBytes, process.memoryUsage.rss() - before);
    const start = now();
    held.release();
    await Promise.all(all);
    waitingNs += now() - start;
  }
  return { operationNs: waitingNs / (rounds * waiters), memoryBytes, sharedBytes: sharedBytes(place.namespace) };
});
