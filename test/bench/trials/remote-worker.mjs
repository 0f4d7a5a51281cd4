// One of the processes that want a lock on a server, and work for a while with it.

import { setTimeout as sleep } from 'node:timers/promises';

import { asWorker, now, rest } from '../harness/in-trial.mjs';

const WARM_UP_NS = 200e6;

await asWorker(async ({ contenders, side, place, durationMs, workMs, restMs }, start) => {
  const { waiting } = await import(`../contenders/${contenders}.mjs`);
  const acquire = await waiting[side](place);
  await (
    await acquire()
  )();

  const { startAt } = await start();
  while (now() < startAt) rest(0.1);
  const warmAt = startAt + WARM_UP_NS;
  const holds = [];
  for (let askedAt = now(); askedAt < warmAt + durationMs * 1e6; askedAt = now()) {
    const release = await acquire();
    const grantedAt = now();
    await sleep(workMs);
    const releasedAt = now();
    await release();
    if (askedAt >= warmAt) holds.push({ askedAt, grantedAt, releasedAt });
    // So that another gets it: whoever asks again at once is there before those who ask now and then.
    await sleep(restMs);
  }
  return { holds };
});
