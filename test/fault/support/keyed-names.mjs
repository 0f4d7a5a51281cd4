// Uses many names, one after another, through the objects that the middleware has for computed names. Says on standard
// output, as JSON, by how many bytes its memory has grown, and the medians of a try and a release, in microseconds.
// Usage: node keyed-names.mjs <namespace> <prefix of the names> <how many>

import { setImmediate as nextTurn } from 'node:timers/promises';

import { KeyedLocks } from '../../../dist/keyed-locks.js';
import { StoredLock } from '../../../dist/stored-lock.js';

const [namespace, prefix, count] = process.argv.slice(2);
const open = (keyed) => (name) => new StoredLock('test', name, { namespace, permits: 1, keyed });
const locks = new KeyedLocks(open(true));
const fixed = open(false)('fixed');
const [hotName, PAIRS] = [`${prefix}hot`, 20];

const use = (lock) => lock.tryAcquire()?.release();
const times = { cold: [], hot: [], fixed: [] };
function measure(what, pairs, pair) {
  const start = process.hrtime.bigint();
  for (let done = 0; done < pairs; done += 1) pair();
  times[what].push(Number(process.hrtime.bigint() - start) / 1000 / pairs);
}

const before = process.memoryUsage.rss();
for (let number = 0; number < Number(count); number += 1) {
  const name = `${prefix}${number}`;
  measure('cold', 1, () => use(locks.get(name)));
  if (number % 100 > 0) continue;
  measure('hot', PAIRS, () => use(locks.get(hotName)));
  measure('fixed', PAIRS, () => use(fixed));
  await nextTurn(); // as between requests
}
const median = (all) => all.sort((one, other) => one - other)[all.length >> 1];
const [cold, hot, fix] = [times.cold, times.hot, times.fixed].map(median);
console.log(JSON.stringify({ grownBytes: process.memoryUsage.rss() - before, cold, hot, fixed: fix }));
