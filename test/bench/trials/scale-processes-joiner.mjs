// A process that has used the lock, and stays.

import { Lock } from '../../../dist/index.js';
import { asWorker } from '../harness/in-trial.mjs';

await asWorker(async ({ place }, start) => {
  new Lock('bench', { namespace: place.namespace }).tryAcquire()?.release();
  await start();
  return {};
});
