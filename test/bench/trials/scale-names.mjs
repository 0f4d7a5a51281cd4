// One acquire and release, of names in an order that no cache foresees.

import { setImmediate as nextTurn } from 'node:timers/promises';

import { StoredLock } from '../../../dist/stored-lock.js';
import { KeyedLocks } from '../../../dist/keyed-locks.js';
import { inTrial, now } from '../harness/in-trial.mjs';
import { sharedBytes } from '../harness/shared-memory.mjs';

/** How many names a turn of the event loop has. */
const TURN = 64;

await inTrial(async ({ names, kept, pairs, place }) => {
  const open = (name) => new StoredLock('bench', name, { namespace: place.namespace, permits: 1, keyed: true });
  const order = shuffled(names);
  const all = order.map((i) => `file:${i}`);
  const before = process.memoryUsage.rss();

  const cache = new KeyedLocks(open);
  const locks = kept ? all.map(open) : undefined;
  const lockAt = kept ? (i) => locks[i] : (i) => cache.get(all[i]);
  const run = async (count) => {
    for (let i = 0; i < count; i++) {
      lockAt(i % names)
        .tryAcquire()
        .release();
      // Locks that nobody refers to any more are closed between the turns, as in a server.
      if (i % TURN === 0) await nextTurn();
    }
  };

  await run(Math.max(names, pairs / 4));
  const start = now();
  await run(pairs);
  return {
    operationNs: (now() - start) / pairs,
    memoryBytes: Math.max(0, process.memoryUsage.rss() - before),
    sharedBytes: sharedBytes(place.namespace),
  };
});

function shuffled(count) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
