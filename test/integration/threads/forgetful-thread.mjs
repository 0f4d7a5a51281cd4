// A worker thread that takes a lock and then forgets all about it.

import { parentPort, workerData } from 'node:worker_threads';
import { setTimeout } from 'node:timers/promises';

import { Lock } from 'semlock';

new Lock('forgotten', { namespace: workerData }).tryAcquire();
for (let round = 0; round < 5; round += 1) {
  globalThis.gc();
  await setTimeout(10); // finalizers run between
}
parentPort.postMessage('forgotten');
setInterval(() => {}, 1000);
