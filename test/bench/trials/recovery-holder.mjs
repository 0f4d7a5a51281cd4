// A process of a given size that takes the lock and waits to be killed.

import { asWorker } from '../harness/in-trial.mjs';

await asWorker(async ({ contender, variant, place, residentMiB }, start) => {
  const { waiting } = await import(`../contenders/${contender}.mjs`);
  const acquire = await waiting[variant](place);
  await acquire();
  const missing = residentMiB * 2 ** 20 - process.memoryUsage.rss();
  const ballast = Buffer.alloc(Math.max(0, missing)).fill(1);
  await start();
  return { ballast: ballast.length };
});
