// A program that waits for a lock with a time limit, and keeps its event loop busy meanwhile. Prints what became of it.
// Usage: node slow-waiter.mjs <namespace> <name> <timeout in ms> <how long it computes, in ms>

import { Lock } from '../../../dist/index.js';

const [namespace, name, timeoutMs, computeMs] = process.argv.slice(2);
const waiting = new Lock(name, { namespace }).acquire({ timeoutMs: Number(timeoutMs) });
console.log('waits');
for (const end = performance.now() + Number(computeMs); performance.now() < end;);
await waiting.then(
  (hold) => console.log(hold.release()),
  (error) => console.log(error.code),
);
