// One of the processes that want the same lock.

import { asWorker, now, rest } from '../harness/in-trial.mjs';
import { Histogram } from '../harness/statistics.mjs';

await asWorker(async ({ contender, variant, place, warmUpMs, durationMs }, start) => {
  const { waiting } = await import(`../contenders/${contender}.mjs`);
  const acquire = await waiting[variant](place);
  await (
    await acquire()
  )();

  const { startAt } = await start();
  while (now() < startAt) rest(0.1);
  const warmAt = startAt + warmUpMs * 1e6;
  await contend(acquire, warmAt);
  const { acquired, waits } = await contend(acquire, warmAt + durationMs * 1e6);
  return { acquired, waits: { counts: waits.counts, max: waits.max } };
});

async function contend(acquire, endAt) {
  const waits = new Histogram();
  let acquired = 0;
  for (let asked = now(); asked < endAt; asked = now()) {
    const release = await acquire();
    const waited = now() - asked;
    // A promise costs what it costs, but a synchronous side need not pay for one.
    const released = release();
    if (released !== undefined) await released;
    waits.add(waited);
    acquired++;
  }
  return { acquired, waits };
}
