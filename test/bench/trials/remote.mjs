// Processes that want one lock on a server: how long it takes from the release of one to the grant of another, which waited
// already.

import { inTrial } from '../harness/in-trial.mjs';
import { percentile } from '../harness/statistics.mjs';
import { runTogether } from '../harness/workers.mjs';

await inTrial(async ({ processes, durationMs, ...args }) => {
  const worker = new URL('remote-worker.mjs', import.meta.url);
  const reports = await runTogether(worker, { durationMs, ...args }, processes);
  const holds = reports
    .flatMap(({ holds }, process) => holds.map((hold) => ({ ...hold, process })))
    .sort((a, b) => a.grantedAt - b.grantedAt);
  const times = handOvers(holds);
  if (times.length === 0) throw new Error('the lock never went from one process to another that waited');
  return {
    perSecond: (holds.length * 1000) / durationMs,
    p50Ns: percentile(times, 0.5),
    p99Ns: percentile(times, 0.99),
  };
});

/** Those who poll often get it again themselves, or with luck just after they asked: neither is a hand-over. */
function handOvers(holds) {
  return holds.slice(1).flatMap((after, index) => {
    const before = holds[index];
    const isHandOver = before.process !== after.process && after.askedAt < before.releasedAt;
    return isHandOver ? [after.grantedAt - before.releasedAt] : [];
  });
}
