// The time from the SIGKILL of a holder to the grant of another process that waits: this one.

import { setTimeout as sleep } from 'node:timers/promises';

import { inTrial, now } from '../harness/in-trial.mjs';
import { startWorker } from '../harness/workers.mjs';

/** Until the one who waits is asleep; at random, so that kills do not keep step with a side that looks regularly. */
const settleMs = () => 20 + Math.random() * 30;

await inTrial(async ({ contender, variant, place, kills, residentMiB, giveUpMs }) => {
  const { waiting } = await import(`../contenders/${contender}.mjs`);
  const acquire = await waiting[variant](place);
  await (
    await acquire()
  )();

  const recoveryNs = [];
  for (let kill = 0; kill < kills; kill++) {
    const holder = new URL('recovery-holder.mjs', import.meta.url);
    const { worker, ended } = await startWorker(holder, { contender, variant, place, residentMiB });
    const grant = Promise.resolve(acquire()).then((release) => ({ release, grantedAt: now() }));
    await sleep(settleMs());

    const killedAt = now();
    worker.kill('SIGKILL');
    const granted = await Promise.race([grant, sleep(giveUpMs)]);
    if (granted === undefined) throw new Error(`never: still held ${giveUpMs / 1000} s after the kill`);
    recoveryNs.push(granted.grantedAt - killedAt);
    await granted.release();
    await ended;
  }
  return { recoveryNs };
});
