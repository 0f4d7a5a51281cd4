// How much does the middleware add to a request, told apart as well as can be?

import { dotChart } from '../harness/chart.mjs';
import { format } from '../harness/format.mjs';
import { atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

// In Express what requests leave is collected once in some 2 000 of them, for a tenth of their time: a block takes in
// a whole round of that.
const BLOCK = 2000; // requests
const ROUNDS = 6;
const WARM_UP_ROUNDS = 2;

const SERVERS = [
  { framework: 'express', group: 'Express 5' },
  { framework: 'http', group: 'plain http' },
];

const NONE = 'no lock';
const AGAIN = 'no lock, again';
const EMPTY = 'only next()';
const FREE = 'fileLock(), free';

const SIDES = [
  [NONE, "a handler that calls `res.end('ok')`", 'none'],
  [AGAIN, 'the same a second time: its range is what this measurement can tell apart', 'none'],
  [EMPTY, 'the same behind `(req, res, next) => next()`', 'empty'],
  [FREE, 'the same behind one lock that nobody else holds', 'free'],
];

export const httpCpu = {
  name: 'http-cpu',
  title: 'HTTP: what a free lock adds',
  asks:
    'How much processor time, of the user and of the system, does a free lock add to a request? In each trial one ' +
    `process serves all sides in blocks of ${BLOCK} requests, ${ROUNDS} each, whose order is drawn by lot; a figure is ` +
    'the difference to the first side in the same trial.',
  metrics: [
    { key: 'cpuNs', title: 'processor time of a request', unit: 'ns', of: ofTrials('cpuNs') },
    { key: 'addedNs', title: 'added', unit: 'ns', of: ofTrials('addedNs') },
  ],
  charts: ['http-cpu'],
  draw: (result) => ({ 'http-cpu': dotChart(result, 'cpuNs', 0) }),

  sides: (scale) =>
    SERVERS.flatMap(({ framework, group }) => {
      const trial = {
        script: 'http',
        args: {
          framework,
          sides: SIDES.map(([name, , lock]) => ({ name, lock, handler: 'light' })),
          block: BLOCK,
          warmUpRounds: WARM_UP_ROUNDS,
          rounds: Math.ceil(ROUNDS * scale),
        },
      };
      return SIDES.map(([name, does]) => ({ name, does, group, trial, part: name }));
    }),

  reach: (figures) =>
    SERVERS.map(({ group }) => {
      const added = (side) => figures.median('addedNs', side, group);
      const [empty, free, again] = [added(EMPTY), added(FREE), added(AGAIN)];
      // What is not above the difference of the same side twice is no figure to divide by.
      const ratio = free !== undefined && empty > Math.abs(again) ? free / empty : undefined;
      return atMost(2, `fileLock() ÷ a middleware that only calls next(), ${group}`, ratio, {
        because:
          `fileLock() adds ${shown(free)}, a middleware that only calls \`next()\` ${shown(empty)}, and the same ` +
          `without a lock ${shown(again)}. To take and release the lock is a part of it; the rest is the exchange that ` +
          'remembers what the request holds, and to hold back the end of the answer until the lock is free.',
      });
    }),
};

function shown(ns) {
  return ns === undefined ? '?' : format(ns, 'ns');
}
