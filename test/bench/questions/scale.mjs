// Does a lock stay as quick when there are many names, many who wait, or many processes?

import { lineChart } from '../harness/chart.mjs';
import { atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

const PAIRS = 200_000;
const GRANTS = 2_000;

const NAMES = [1, 100, 10_000, 100_000];
const WAITERS = [1, 100, 1_000, 10_000];
const PROCESSES = [1, 4, 16, 64];

const KEPT = 'names, lock objects kept';
const LOOKED_UP = "names, as the middleware's";
const WAITING = 'waiters in one process';
const JOINED = 'processes';

export const scale = {
  name: 'scale',
  title: 'Scale',
  asks: 'How do the time of an operation and the memory grow with the number of names, of waiters, and of processes?',
  metrics: [
    { key: 'operationNs', title: 'one operation', unit: 'ns', of: ofTrials('operationNs') },
    { key: 'memoryBytes', title: 'memory of the process', unit: 'bytes', of: ofTrials('memoryBytes') },
    { key: 'sharedBytes', title: 'of /dev/shm', unit: 'bytes', of: ofTrials('sharedBytes') },
  ],
  charts: ['scale'],
  draw: (result) => ({ scale: lineChart(result, 'operationNs') }),

  sides: (scale) => [
    ...growing(NAMES, KEPT, 'a pair, names at random, each with its lock object', (names) => ({
      script: 'scale-names',
      args: { names, kept: true, pairs: PAIRS * scale },
    })),
    ...growing(
      NAMES,
      LOOKED_UP,
      'a pair, names at random, looked up in a cache such as the middleware has',
      (names) => ({
        script: 'scale-names',
        args: { names, kept: false, pairs: PAIRS * scale },
      }),
    ),
    ...growing(
      WAITERS,
      WAITING,
      'a grant, when so many promises of `acquire()` wait and each gives it back at once',
      (waiters) => ({
        script: 'scale-waiters',
        args: { waiters, grants: GRANTS * scale },
      }),
    ),
    ...growing(PROCESSES, JOINED, 'a pair, when so many processes have the lock open', (processes) => ({
      script: 'scale-processes',
      args: { processes, pairs: PAIRS * scale },
    })),
  ],

  reach(figures) {
    const growth = (name, sizes) =>
      figures.ratio('operationNs', [name, String(sizes.at(-1))], [name, String(sizes[0])]);
    return [
      atMost(1.5, '100 000 names ÷ 1 name, lock objects kept', growth(KEPT, NAMES), {
        because:
          'the table keeps records of names that were used lately and recycles the others, so that it stays small (see ' +
          'its size in /dev/shm). With this many names each is looked up anew, and takes the record of another. It ' +
          'is much the same for 10 000 names, in the table below.',
      }),
      atMost(1.5, "100 000 names ÷ 1 name, as the middleware's", growth(LOOKED_UP, NAMES), {
        because:
          'the middleware keeps 256 lock objects, up to 512. A name that is not among them is hashed, opened in the ' +
          'addon, looked up in the table, where it takes the record of another, and closed again when others push it ' +
          'out: what a lock that is kept needs once, this one needs each time, as does the cold keyed lock of the ' +
          'first question.',
      }),
      atMost(1.5, '10 000 waiters ÷ 1 waiter', growth(WAITING, WAITERS)),
      atMost(1.5, '64 processes ÷ 1 process', growth(JOINED, PROCESSES)),
    ];
  },
};

function growing(sizes, name, does, trial) {
  return sizes.map((size) => ({ name, does, group: String(size), trial: trial(size) }));
}
