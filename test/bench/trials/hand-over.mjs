// Two processes that pass one lock to and fro: the time from the one's release to the other's grant. Only those
// count in which the other was waiting already.

import { inTrial } from '../harness/in-trial.mjs';
import { runProgram } from '../harness/c-program.mjs';
import { median } from '../harness/statistics.mjs';
import { runTogether } from '../harness/workers.mjs';

/** How long before the release a request must have come, so that the one who waits is asleep. */
const ASLEEP_NS = 20_000;

await inTrial(async ({ program, handOvers, workUs, ...args }) => {
  if (program !== undefined) {
    const { handOverNs } = await runProgram(program, handOvers, workUs);
    return { handOverNs, medianNs: median(handOverNs) };
  }
  const worker = new URL('hand-over-worker.mjs', import.meta.url);
  const holds = (await runTogether(worker, { rounds: handOvers / 2, workUs, ...args }, 2))
    .flatMap(({ holds }, process) => holds.map((hold) => ({ ...hold, process })))
    .sort((a, b) => a.grantedAt - b.grantedAt);

  const handOverNs = [];
  for (let i = 1; i < holds.length; i++) {
    const [before, after] = [holds[i - 1], holds[i]];
    if (before.process === after.process || after.askedAt > before.releasedAt - ASLEEP_NS) continue;
    handOverNs.push(after.grantedAt - before.releasedAt);
  }
  if (handOverNs.length === 0) throw new Error('the lock never went from one process to the other');
  return { handOverNs, medianNs: median(handOverNs) };
});
