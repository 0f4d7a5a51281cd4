// Nanoseconds for one acquire and release of a lock that nobody else wants.

import { inTrial, now } from '../harness/in-trial.mjs';

const WARM_UP_NS = 50e6;
const MAX_WARM_UP_BATCH = 1e7;

await inTrial(async ({ contender, variant, place, measureMs }) => {
  const { uncontended } = await import(`../contenders/${contender}.mjs`);
  const pairs = await uncontended[variant](place);
  const measure = async (count) => {
    const start = now();
    // A promise costs what it costs, but a synchronous side need not pay for one.
    const done = pairs(count);
    if (done !== undefined) await done;
    return now() - start;
  };

  let count = 1;
  let elapsed = await measure(count);
  while (elapsed < WARM_UP_NS && count < MAX_WARM_UP_BATCH) elapsed = await measure((count *= 2));
  count = Math.ceil((count * measureMs * 1e6) / elapsed);
  return { pairNs: (await measure(count)) / count };
});
