// One of the two processes that pass a lock to and fro.

import { asWorker, now, rest, work } from '../harness/in-trial.mjs';

/** Between a release and the next request, so that the other one, who waits, has the lock by then. */
const REST_MS = 0.1;
const WARM_UP_ROUNDS = 20;
const AT_MOST_NS = 2e9;

await asWorker(async ({ contender, variant, place, rounds, workUs }, start) => {
  const { waiting } = await import(`../contenders/${contender}.mjs`);
  const acquire = await waiting[variant](place);
  const holds = [];
  const { startAt } = await start();
  while (now() < startAt) rest(0.1);

  for (let round = 0; round < rounds + WARM_UP_ROUNDS && now() < startAt + AT_MOST_NS; round++) {
    const askedAt = now();
    const release = await acquire();
    const grantedAt = now();
    work(workUs * 1e3);
    const releasedAt = now();
    const released = release();
    if (released !== undefined) await released;
    if (round >= WARM_UP_ROUNDS) holds.push({ askedAt, grantedAt, releasedAt });
    rest(REST_MS);
  }
  return { holds };
});
