// Has so many waits pending for a lock that another process holds, measures what that costs, and says it as JSON.
// Usage: node --expose-gc many-waiters.mjs <namespace> <name> <waits>

import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { Lock } from '../../../dist/index.js';

const [namespace, name, waits] = process.argv.slice(2);
const lock = new Lock(name, { namespace });
const file = fileURLToPath(import.meta.url);

const threads = () => readdirSync('/proc/self/task').length;
const best = (...values) => Math.min(...values);

async function readLatency() {
  const times = [];
  for (let time = 0; time < 2_000; time += 1) {
    const begun = performance.now();
    await readFile(file);
    times.push((performance.now() - begun) * 1_000);
  }
  times.sort((one, other) => one - other);
  return { median: times[1_000], p99: times[1_980] };
}

function heapUsed() {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Until all of them wait: what comes back ends them by one signal, and says how many and how fast. */
function waitForAll() {
  const controller = new AbortController();
  let cancelled = 0;
  const pending = Array.from({ length: Number(waits) }, () =>
    lock.acquire({ signal: controller.signal }).catch(() => (cancelled += 1)),
  );
  return async () => {
    const begun = performance.now();
    controller.abort();
    await Promise.all(pending);
    return { cancelled, cancelMs: performance.now() - begun };
  };
}

await readLatency(); // libuv's threads are started, and everything is compiled
lock.tryAcquire();
const threadsBefore = threads();
await waitForAll()();
const result = { threads: 0, bytesPerWaiter: Infinity, cancelMs: Infinity };
const latencies = { alone: [], beside: [] };
for (let round = 0; round < 4; round += 1) {
  latencies.alone.push(await readLatency());
  const before = heapUsed();
  const end = waitForAll();
  result.bytesPerWaiter = best(result.bytesPerWaiter, (heapUsed() - before) / Number(waits));
  latencies.beside.push(await readLatency());
  result.threads = threads() - threadsBefore;
  const { cancelled, cancelMs } = await end();
  result.cancelled = cancelled;
  result.cancelMs = best(result.cancelMs, cancelMs);
}
for (const [when, each] of Object.entries(latencies)) {
  const of = (key) => best(...each.map((latency) => latency[key]));
  result[when] = { median: of('median'), p99: of('p99') };
}
console.log(JSON.stringify(result));
