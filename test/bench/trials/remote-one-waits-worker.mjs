// One of the two processes: acquires and releases when it is told to, and tells when it had the lock, or began to release it.

import { now } from '../harness/in-trial.mjs';

const { contenders, side, place } = JSON.parse(process.argv[2]);
const { waiting } = await import(`../contenders/${contenders}.mjs`);
const acquire = await waiting[side](place);
await (
  await acquire()
)();
let release;
process.on('message', async (what) => {
  try {
    let at = now();
    if (what === 'release') await release();
    else {
      release = await acquire();
      at = now();
    }
    process.send({ at });
  } catch (error) {
    process.send({ failure: String(error) });
  }
});
process.send({});
