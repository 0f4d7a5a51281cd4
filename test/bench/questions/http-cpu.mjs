// How much does the middleware add to a request, told apart as well as can be?

import { dotChart } from '../harness/chart.mjs';
import { format } from '../harness/format.mjs';
import { atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

const BLOCK = 50; // requests
const ROUNDS = { express: 250, http: 1000 };
const WARM_UP_ROUNDS = 40;

const SERVERS = [
  { framework: 'express', group: 'Express 5' },
  { framework: 'http', group: 'plain http' },
];

const NONE = 'no lock';
const AGAIN = 'no lock, again';
const EMPTY = 'only next()';
const PAIR = 'a pair of the lock';
const FREE = 'fileLock(), free';

const SIDES = [
  [NONE, "a handler that calls `res.end('ok')`", 'none'],
  [AGAIN, 'the same a second time: what it adds is an error of this measurement', 'none'],
  [EMPTY, 'the same behind `(req, res, next) => next()`', 'empty'],
  [PAIR, 'the same behind a middleware that calls `tryAcquire()`, `next()` and `release()`', 'pair'],
  [FREE, 'the same behind one lock that nobody else holds', 'free'],
];

export const httpCpu = {
  name: 'http-cpu',
  title: 'HTTP: what a free lock adds',
  asks:
    'How much processor time does a free lock add to a request, beside a middleware that does nothing? In each trial ' +
    `one process serves all sides in blocks of ${BLOCK} requests whose order is drawn by lot, over connections that do ` +
    'not pass through the kernel. What a side adds is the mean of the middle half of its differences to the first side ' +
    'in the same round; the doubt is half of the 95 % interval of that within one trial.',
  metrics: [
    { key: 'cpuNs', title: 'processor time of a request', unit: 'ns', of: ofTrials('cpuNs') },
    { key: 'addedNs', title: 'added', unit: 'ns', of: ofTrials('addedNs') },
    { key: 'addedPercent', title: 'added', unit: 'percent', of: ofTrials('addedPercent') },
    { key: 'doubtNs', title: 'doubt', unit: 'ns', of: ofTrials('doubtNs') },
  ],
  charts: ['http-cpu'],
  draw: (result) => ({ 'http-cpu': dotChart(result, 'cpuNs', 0) }),

  sides: (scale) =>
    SERVERS.flatMap(({ framework, group }) => {
      const trial = {
        script: 'http-cpu',
        args: {
          framework,
          sides: SIDES.map(([name, , lock]) => ({ name, lock })),
          block: BLOCK,
          warmUpRounds: WARM_UP_ROUNDS,
          rounds: Math.ceil(ROUNDS[framework] * scale),
        },
      };
      return SIDES.map(([name, does]) => ({ name, does, group, trial, part: name }));
    }),

  reach: (figures) =>
    SERVERS.map(({ group }) => {
      const of = (side, key = 'addedNs') => figures.median(key, side, group);
      const [empty, pair, free, doubt, error] = [of(EMPTY), of(PAIR), of(FREE), of(FREE, 'doubtNs'), of(AGAIN)];
      // What the measurement does not tell from nothing is no figure to divide by: it stands for no more than its doubt.
      const ratio = free === undefined ? undefined : free / Math.max(empty, of(EMPTY, 'doubtNs'));
      return atMost(2, `fileLock() ÷ a middleware that only calls next(), ${group}`, ratio, {
        because:
          `fileLock() adds ${shown(free)}, give or take ${shown(doubt)}; a middleware that only calls \`next()\` ` +
          `${shown(empty)}; the same without a lock a second time ${shown(error)}. To take and release the lock and do ` +
          `nothing else adds ${shown(pair)}${pair > 2 * empty ? ', which is more than the limit by itself' : ''}. The rest is the ` +
          'exchange that remembers what the request holds, `req.lock`, and to hold back the end of the answer until the lock is free.',
      });
    }),
};

function shown(ns) {
  return ns === undefined ? '?' : format(ns, 'ns');
}
