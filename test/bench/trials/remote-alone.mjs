// Pairs of acquire and release by a process that has the lock on a server to itself. All sides take turns in blocks, in an order
// that is drawn anew for each round: how long a process takes to wake another is not the same from one trial to the next,
// and is most of what a pair takes.

import { inTrial, now, shuffled } from '../harness/in-trial.mjs';
import { percentile } from '../harness/statistics.mjs';

await inTrial(async ({ contenders, sides, place, block, warmUpRounds, rounds }) => {
  const { waiting } = await import(`../contenders/${contenders}.mjs`);
  const clients = await Promise.all(
    sides.map(async (side) => ({ side, acquire: await waiting[side](place), times: [] })),
  );
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    if (round === warmUpRounds) for (const { times } of clients) times.length = 0;
    for (const { acquire, times } of shuffled(clients)) {
      for (let pair = 0; pair < block; pair++) {
        const askedAt = now();
        const release = await acquire();
        await release();
        times.push(now() - askedAt);
      }
    }
  }
  return Object.fromEntries(
    clients.map(({ side, times }) => [
      side,
      {
        perSecond: (times.length * 1e9) / times.reduce((sum, time) => sum + time, 0),
        p50Ns: percentile(times, 0.5),
        p99Ns: percentile(times, 0.99),
      },
    ]),
  );
});
