// The answer for readers who ask what a lock costs them: one chart, and a sentence for each question that they ask.

import { dotChart } from './chart.mjs';
import { figureOf, NotMeasured } from './results.mjs';

/** Sides of the first question that a reader knows, from the least that is possible to a server. */
const SIDES = [
  'two native calls',
  'Lock',
  'Lock.acquire()',
  'fs-ext',
  'fs-native-extensions',
  'async-mutex',
  'proper-lockfile',
  'Redis',
];

/** The chart of a free lock, or `undefined` where that was not measured. */
export function summaryChart(uncontended) {
  if (uncontended === undefined) return undefined;
  const sides = uncontended.sides.filter(({ name }) => SIDES.includes(name));
  return dotChart({ ...uncontended, title: 'To acquire and release a free lock', sides }, 'pairNs');
}

/** What a sentence is about, from the results by the names of their questions; none where one is missing. */
const SENTENCES = [
  (figure) => {
    const pair = (side) => figure('uncontended', 'pairNs', side);
    return (
      `**A free lock** costs ${pair('Lock')} for \`tryAcquire()\` and \`release()\`, and ${pair('Lock.acquire()')} with ` +
      `\`await\`. \`fs-native-extensions\` takes ${pair('fs-native-extensions')}, \`proper-lockfile\` ` +
      `${pair('proper-lockfile')}, and Redis on the same machine ${pair('Redis')}.`
    );
  },
  (figure) => {
    const handOver = (side) => figure('handover', 'p50', side);
    return (
      `**A process that waits** has the lock ${handOver('Lock.acquire()')} after another one has released it. With ` +
      `\`fs-native-extensions\` that takes ${handOver('fs-native-extensions')}, and with \`proper-lockfile\`, which asks ` +
      `again and again, ${handOver('proper-lockfile')}.`
    );
  },
  (figure) => {
    const recovery = (side) => figure('recovery', 'p50', side, '50 MiB');
    return (
      `**When the holder is killed**, one that waits has the lock after ${recovery('Lock')}. The kernel's own file locks ` +
      `are quicker (${recovery('fs-native-extensions')}), \`proper-lockfile\` takes ${recovery('proper-lockfile')}, and a ` +
      'plain semaphore stays locked forever.'
    );
  },
  (figure) => {
    const contended = (key, side) => figure('contended', key, side, '8 processes');
    return (
      `**When 8 processes want the lock all the time**, they get it ${contended('perSecond', 'Lock.acquire()')} in total, ` +
      `and the one with the least gets ${contended('fairness', 'Lock.acquire()')} of what the one with the most gets. ` +
      'A file lock that blocks its thread goes to the process that asks next: ' +
      `${contended('perSecond', 'fs-native-extensions, sync')} in total, and ` +
      `${contended('fairness', 'fs-native-extensions, sync')}.`
    );
  },
  (figure) => {
    const added = (side, group) => figure('http', 'addedPercent', side, group);
    return (
      `**In a web server** \`fileLock()\` adds ${added('fileLock(), free', 'Express 5')} to the processor time of a request ` +
      'that does nothing else in Express 5, where a middleware that does nothing adds ' +
      `${added('a middleware that does nothing', 'Express 5')}; with plain \`node:http\` it adds ` +
      `${added('fileLock(), free', 'plain http')}.`
    );
  },
];

/** The sentences that can be said of these results. */
export function summary(results) {
  return SENTENCES.flatMap((sentence) => {
    try {
      return [sentence((...which) => figureOf(results, ...which))];
    } catch (error) {
      if (error instanceof NotMeasured) return [];
      throw error;
    }
  });
}
