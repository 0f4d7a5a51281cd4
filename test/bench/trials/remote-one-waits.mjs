// Two processes that give a lock on a server to each other: the one asks while the other has it, for long enough that those who
// ask now and then may be anywhere between two questions when it is released.

import { inTrial, now, rest } from '../harness/in-trial.mjs';
import { percentile } from '../harness/statistics.mjs';
import { nextMessage, startWorker } from '../harness/workers.mjs';

const WARM_UP_ROUNDS = 4;
/** How long the other one waits before the release, at least and at most: longer than any of those who poll. */
const [LEAST_MS, MOST_MS] = [20, 320];

await inTrial(async ({ rounds, ...args }) => {
  const script = new URL('remote-one-waits-worker.mjs', import.meta.url);
  const workers = await Promise.all([0, 1].map(() => startWorker(script, args)));
  const ask = ({ worker }, what) => {
    worker.send(what);
    return nextMessage(worker);
  };
  const times = [];
  let startAt;
  await ask(workers[0], 'acquire');
  for (let round = 0; round < rounds + WARM_UP_ROUNDS; round++) {
    if (round === WARM_UP_ROUNDS) startAt = now();
    const [holder, waiter] = round % 2 === 0 ? workers : workers.toReversed();
    const waiting = ask(waiter, 'acquire');
    rest(LEAST_MS + Math.random() * (MOST_MS - LEAST_MS));
    const { at: releasedAt } = await ask(holder, 'release');
    const { at: grantedAt } = await waiting;
    if (round >= WARM_UP_ROUNDS) times.push(grantedAt - releasedAt);
  }
  const perSecond = (times.length * 1e9) / (now() - startAt);
  for (const { worker } of workers) worker.kill();
  await Promise.all(workers.map(({ ended }) => ended));
  return { perSecond, p50Ns: percentile(times, 0.5), p99Ns: percentile(times, 0.99) };
});
