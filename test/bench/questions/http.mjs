// What does the middleware cost a server?

import { dotChart } from '../harness/chart.mjs';
import { format } from '../harness/format.mjs';
import { atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

const BLOCK = 50; // requests
const ROUNDS = 200;
const FILE_ROUNDS = 50; // which is told apart from the others by far more than a lock costs
const WARM_UP_ROUNDS = 60; // until V8 has compiled what a request runs through

const SERVERS = [
  { framework: 'express', group: 'Express 5', most: 2 },
  { framework: 'http', group: 'plain http', most: 4 },
];

const NONE = 'no lock';
const AGAIN = 'no lock, again';
const EMPTY = 'a middleware that does nothing';
const FREE = 'fileLock(), free';
const KEYED = 'fileLock(), keyed';
const BUSY = 'fileLock(), busy';
const FILE = 'no lock, reads a file';

const BASE = [NONE, "a handler that calls `res.end('ok')`", { lock: 'none', handler: 'light' }];
const LIGHT_SIDES = [
  [AGAIN, 'the same a second time, to show what differences mean', { lock: 'none', handler: 'light' }],
  [EMPTY, 'the same behind `(req, res, next) => next()`', { lock: 'empty', handler: 'light' }],
  [FREE, 'the same behind one lock that nobody else holds', { lock: 'free', handler: 'light' }],
  [KEYED, 'the same behind a lock for each path, of 16 paths', { lock: 'keyed', handler: 'light' }],
  [BUSY, 'the same while another process holds the lock: each answer is a 503', { lock: 'busy', handler: 'light' }],
];
const FILE_SIDES = [[FILE, 'a handler that reads a file of 4 KiB and sends it', { lock: 'none', handler: 'file' }]];

export const http = {
  name: 'http',
  title: 'HTTP',
  asks:
    'How much processor time does a request cost the process of the server, and how many requests are served in a ' +
    'second? The client has 8 connections. In each trial one process serves all sides with a light handler, in blocks ' +
    `of ${BLOCK} requests whose order is drawn by lot: two processes that do the same differ by more than what is to be ` +
    'told apart here.',
  metrics: [
    { key: 'cpuNs', title: 'processor time of a request', unit: 'ns', of: ofTrials('cpuNs') },
    { key: 'addedPercent', title: `more than ${NONE}`, unit: 'percent', of: ofTrials('addedPercent') },
    { key: 'perSecond', title: 'requests', unit: 'perSecond', of: ofTrials('perSecond') },
  ],
  charts: ['http'],
  draw: (result) => ({ http: dotChart(result, 'cpuNs', 0) }),
  trialsPerRepetition: 3,

  sides: (scale) =>
    SERVERS.flatMap(({ framework, group }) => {
      const trialOf = (sides, rounds) => ({
        script: 'http',
        args: {
          framework,
          sides: sides.map(([name, , options]) => ({ name, ...options })),
          block: BLOCK,
          warmUpRounds: WARM_UP_ROUNDS,
          rounds: Math.ceil(rounds * scale),
        },
      });
      const sidesOf = (sides, trial) => sides.map(([name, does]) => ({ name, does, group, trial, part: name }));
      const light = [BASE, ...LIGHT_SIDES];
      const file = [BASE, ...FILE_SIDES];
      return [...sidesOf(light, trialOf(light, ROUNDS)), ...sidesOf(FILE_SIDES, trialOf(file, FILE_ROUNDS))];
    }),

  reach: (figures) =>
    SERVERS.flatMap(({ framework, group, most }) => {
      const ratio = (side, other) => figures.ratio('cpuNs', [side, group], [other, group]);
      const added = (side) => figures.median('addedPercent', side, group);
      const because = BECAUSE[framework](shown(added(EMPTY)), shown(added(AGAIN)));
      const making =
        ` To make the name of each request, and to find its lock, adds ${shown(percentAbove(ratio(KEYED, FREE)))} to ` +
        'the processor time with one fixed name.';
      return [
        atMost(most, `processor time that fileLock() adds, free, ${group}`, added(FREE), { unit: 'percent', because }),
        atMost(most, `processor time that fileLock() adds, keyed, ${group}`, added(KEYED), {
          unit: 'percent',
          because: because + making,
        }),
        atMost(0.5, `busy ÷ 200 of a handler that does nothing, ${group}`, ratio(BUSY, NONE), {
          because:
            'a busy answer is a whole answer: to read the request and to write a response is all that a handler that ' +
            'does nothing costs, too.',
        }),
        atMost(0.5, `busy ÷ 200 of a handler that reads a file, ${group}`, ratio(BUSY, FILE), {
          because:
            `the least answer that there is, \`res.end('ok')\` without a lock, costs ` +
            `${shown(percentOf(ratio(NONE, FILE)))} of it in the same run.`,
        }),
      ];
    }),
};

const BECAUSE = {
  express: (empty, again) =>
    `a middleware that does nothing but call \`next()\` adds ${empty} in the same run, and the same without a lock a ` +
    `second time ${again}. Express gives each request and response a hidden class of its own, so that V8 looks up ` +
    'anew each property that is read of them, and the gate has to read whether the client is still there.',
  http: (empty, again) =>
    `a middleware that does nothing but call \`next()\` adds ${empty} in the same run, and the same without a lock a ` +
    `second time ${again}. The rest is a pair of the lock, the object by which the request holds it, and looks, before ` +
    'and after the handler, at whether the response is over.',
};

function shown(percent) {
  return percent === undefined ? '? %' : format(percent, 'percent');
}

function percentOf(ratio) {
  return ratio === undefined ? undefined : ratio * 100;
}

function percentAbove(ratio) {
  return ratio === undefined ? undefined : (ratio - 1) * 100;
}
