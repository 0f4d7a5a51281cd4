// Processes that all want one lock, again and again, for a while.

import { inTrial } from '../harness/in-trial.mjs';
import { Histogram } from '../harness/statistics.mjs';
import { runTogether } from '../harness/workers.mjs';
import { runProgram } from '../harness/c-program.mjs';

await inTrial(async ({ program, order, processes, durationMs, ...args }) => {
  if (program !== undefined) {
    const { acquired, p99Ns, maxNs } = await runProgram(
      program,
      processes,
      durationMs,
      ...(order === undefined ? [] : [order]),
    );
    return figures(acquired, durationMs, p99Ns, maxNs);
  }
  const worker = new URL('contended-worker.mjs', import.meta.url);
  const reports = await runTogether(worker, { durationMs, ...args }, processes);
  const waits = new Histogram();
  for (const report of reports) waits.merge(report.waits);
  return figures(
    reports.map(({ acquired }) => acquired),
    durationMs,
    waits.percentile(0.99),
    waits.max,
  );
});

function figures(acquired, durationMs, p99Ns, maxNs) {
  const total = acquired.reduce((sum, count) => sum + count, 0);
  return {
    perSecond: (total * 1000) / durationMs,
    fairness: Math.min(...acquired) / Math.max(...acquired),
    p99Ns,
    maxNs,
  };
}
