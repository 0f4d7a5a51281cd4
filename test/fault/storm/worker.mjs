// One process of the storm: it takes one lock after the other, tells the oracle, and dies when it is killed.
// Usage: fork it with <kind> <namespace> <path of the oracle's file>; it ends on the message 'end'.

import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';

import { contenders } from './contenders.mjs';

const [kind, namespace, oraclePath] = process.argv.slice(2);
const oracle = createRequire(import.meta.url)('../addon/build/Release/hold_oracle.node');
oracle.open(oraclePath);
const locks = contenders(kind, namespace);

let ended = false;
process.once('message', () => (ended = true));

while (!ended) {
  for (let round = 0; round < 50; round++) {
    const lock = locks[Math.floor(Math.random() * locks.length)];
    const giveBack = lock.tryAcquire();
    if (giveBack === null) continue;
    const slot = oracle.enter(lock.number, lock.permits);
    // Mostly short, so that deaths fall into the protocol's steps; sometimes long, so that they fall on holders.
    const chance = Math.random();
    if (chance < 0.05) await sleep(Math.random() * 10);
    else if (chance < 0.3) spin(Math.random() * 0.1);
    if (slot >= 0) oracle.leave(lock.number, slot);
    giveBack();
  }
  await sleep(0);
}
process.disconnect();

function spin(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}
