// Holds a lock, or takes it again and again, until its standard input ends.
// Usage: node holder.mjs <name> <options of Lock or Semaphore as JSON> <all the time|again and again>

import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { Lock, Semaphore } from 'semlock';

const [name, json, how] = process.argv.slice(2);
const options = JSON.parse(json);
const lock = options.permits === undefined ? new Lock(name, options) : new Semaphore(name, options);
const held = lock.tryAcquire();
console.log(held === null ? 'busy' : 'held');

let ended = false;
const end = once(process.stdin.resume(), 'end').then(() => (ended = true));
while (how === 'again and again' && !ended) {
  for (let times = 0; times < 1_000; times += 1) lock.tryAcquire()?.release();
  await nextTurn();
}
await end;
held?.release();
