// One acquire and release, of names in an order that no cache foresees.

import { processStore } from '../../../dist/index.js';
import { KeyedLocks } from '../../../dist/http/keyed-locks.js';
import { inTrial, now } from '../harness/in-trial.mjs';
import { sharedBytes } from '../harness/shared-memory.mjs';

await inTrial(({ names, kept, pairs, place }) => {
  const open = (name) => processStore.open(name, { namespace: place.namespace, permits: 1, keyed: true });
  const order = shuffled(names);
  const all = order.map((i) => `file:${i}`);
  const before = process.memoryUsage.rss();

  const cache = new KeyedLocks(open);
  const locks = kept ? all.map(open) : undefined;
  const run = kept
    ? (count) => {
        for (let i = 0; i < count; i++) locks[i % names].tryAcquire().release();
      }
    : (count) => {
        for (let i = 0; i < count; i++)
          cache
            .get(all[i % names])
            .tryAcquire()
            .release();
      };

  run(Math.max(names, pairs / 4));
  const start = now();
  run(pairs);
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
