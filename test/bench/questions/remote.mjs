// What does a lock on a server cost, and how soon has the next one it?

import { startPostgres } from '../contenders/postgres-server.mjs';
import { startRedis } from '../contenders/redis-server.mjs';
import { dotChart } from '../harness/chart.mjs';
import { atLeast, atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

/** At least, since two processes meet only now and then. */
const DURATION_MS = 800;
const WORK_MS = 2;
/** Longer than those who poll wait until they ask again. */
const REST_MS = 15;

const ALONE = 'alone';
const [BLOCK, ROUNDS] = [25, 30];
const ONE_WAITS = 'one waits';
const HAND_OVERS = 24;
const CONTENDED = [2, 8];
const nameOf = (processes) => `${processes} processes`;

const SEMLOCK = 'semlock over Redis';
const TRIPS = 'its two round trips';
const BARE = 'two empty scripts';
const TOKEN = 'a token in a list';
const POLLERS = ['redlock', 'redis-semaphore', 'SET NX'];
const REDLOCK_DEFAULT = 'redlock, its own delay';

const SIDES = [
  [SEMLOCK, '`acquire()` and `await using` of a `Lock` with `redisStore()`', 'semlock'],
  ['redlock', '`acquire()` and `release()`, with one server, asking again every 10 ms', 'redlock'],
  ['redis-semaphore', '`Mutex`, asking again every 10 ms, as it does unless told otherwise', 'redis-semaphore'],
  ['SET NX', '`SET … NX PX` and a script that deletes, asking again every 10 ms', 'setNx'],
];
const SIDES_ALONE = [
  [BARE, 'scripts that do nothing, with the arguments of those of semlock', 'emptyScripts'],
  [TRIPS, "the scripts of semlock's acquire and release, sent by the client alone: the limit", 'roundTrips'],
  ...SIDES,
];
const SIDES_CONTENDED = [
  [TOKEN, '`BLPOP` and `LPUSH`, which lose it for ever with a holder that dies: the limit', 'token'],
  ...SIDES,
];
const SIDES_ONE_WAITS = [
  ...SIDES_CONTENDED,
  [REDLOCK_DEFAULT, 'the same, asking again after 100 to 300 ms, as it does unless told otherwise', 'redlockDefault'],
];

const PG_SEMLOCK = 'semlock over PostgreSQL';
const PG_TRIPS = 'its two calls';
const PG_BARE = 'two committed changes';
const PG_SIDES = [
  [PG_SEMLOCK, '`acquire()` and `await using` of a `Lock` with `postgresStore()`', 'semlock'],
  ['pg_try_advisory_lock', 'on a connection of the pool, asking again every 10 ms; nothing is written', 'advisory'],
  ['SKIP LOCKED', 'a transaction with `SELECT … FOR UPDATE SKIP LOCKED`, asking again every 10 ms', 'skipLocked'],
];
const PG_SIDES_ALONE = [
  ['two SELECT 1', 'which exclude nobody and write nothing', 'selects'],
  [PG_BARE, '`UPDATE` of one row, by its key, which exclude nobody', 'changes'],
  [PG_TRIPS, "the calls of semlock's acquire and release, by the pool alone: the limit", 'roundTrips'],
  ...PG_SIDES,
];

const ENGINES = [
  // Until the code of all sides is compiled; what takes milliseconds does not show that.
  {
    contenders: 'remote',
    serve: startRedis,
    warmUpRounds: 150,
    alone: SIDES_ALONE,
    contended: SIDES_CONTENDED,
    oneWaits: SIDES_ONE_WAITS,
  },
  {
    contenders: 'postgres',
    serve: startPostgres,
    warmUpRounds: 20,
    alone: PG_SIDES_ALONE,
    contended: PG_SIDES,
    oneWaits: [],
  },
];

export const remote = {
  name: 'remote',
  title: 'Locks on a server',
  asks:
    'A process alone acquires and releases a lock on a Redis server, or in a PostgreSQL database with the settings that it has by itself, over a Unix socket: how often, and how long does one ' +
    `pair take? In each trial one process does so in all ways, in blocks of ${BLOCK} pairs whose order is drawn by lot. And where several processes want it, work for ${WORK_MS} ms with it and rest for ${REST_MS} ms: how often do they get it in total, ` +
    'and how long does it take from the release of one to the grant of another, which waited? And where two give it to each other, and the one that waits has done so for 20 to 320 ms: how long does that take?',
  metrics: [
    { key: 'perSecond', title: 'acquired in total', unit: 'perSecond', of: ofTrials('perSecond') },
    { key: 'p50Ns', title: 'pair or hand-over, p50', unit: 'ns', of: ofTrials('p50Ns') },
    { key: 'p99Ns', title: 'p99', unit: 'ns', of: ofTrials('p99Ns') },
  ],
  charts: ['remote'],
  draw: (result) => ({ remote: dotChart(result, 'p50Ns') }),

  sides: (scale) => ENGINES.flatMap((engine) => sidesOf(engine, scale)),

  reach: (figures) => [
    atMost(1.3, `${SEMLOCK} ÷ ${TRIPS}, p50`, figures.ratio('p50Ns', [SEMLOCK, ALONE], [TRIPS, ALONE]), {
      because: 'what this package does between a call and its command, and after the answer, is not free.',
    }),
    atMost(1.3, `${SEMLOCK} ÷ ${BARE}, p50`, figures.ratio('p50Ns', [SEMLOCK, ALONE], [BARE, ALONE]), {
      because:
        'the script that takes a lock has to run three commands, and the one that gives it back two, which scripts that do ' +
        'nothing do not.',
    }),
    atMost(1.5, `${PG_SEMLOCK} ÷ ${PG_TRIPS}, p50`, figures.ratio('p50Ns', [PG_SEMLOCK, ALONE], [PG_TRIPS, ALONE]), {
      because: 'what this package does between a call and its statement, and after the answer, is not free.',
    }),
    atMost(1.5, `${PG_SEMLOCK} ÷ ${PG_BARE}, p50`, figures.ratio('p50Ns', [PG_SEMLOCK, ALONE], [PG_BARE, ALONE]), {
      because:
        'each of the two looks at the session, the number of the request, those who wait and the incarnation of the server, ' +
        'and changes two rows and two indexes, where the bare one changes a row: where a commit takes less than a ms, that shows.',
    }),
    ...CONTENDED.map((processes) => {
      const group = nameOf(processes);
      return atMost(
        2,
        `${SEMLOCK} ÷ ${TOKEN}, p50, ${group}`,
        figures.ratio('p50Ns', [SEMLOCK, group], [TOKEN, group]),
        {
          because: 'a release looks at sessions, the line and the server before it hands on.',
        },
      );
    }),
    ...[...POLLERS, REDLOCK_DEFAULT].map((poller) => {
      const ratio = figures.ratio('p50Ns', [poller, ONE_WAITS], [SEMLOCK, ONE_WAITS]);
      return atLeast(10, `${poller} ÷ ${SEMLOCK}, p50, ${ONE_WAITS}`, ratio, {
        because:
          'a process that asks every 10 ms waits for half of that, and a hand-over takes as long as the machine needs to wake two processes.',
      });
    }),
    ...CONTENDED.flatMap((processes) =>
      POLLERS.flatMap((poller) =>
        ['p50', 'p99'].map((part) => {
          const group = nameOf(processes);
          const ratio = figures.ratio(`${part}Ns`, [poller, group], [SEMLOCK, group]);
          return atLeast(10, `${poller} ÷ ${SEMLOCK}, ${part}, ${group}`, ratio, { because: BECAUSE[part] });
        }),
      ),
    ),
  ],
};

function sidesOf({ contenders, serve, warmUpRounds, ...sides }, scale) {
  const { alone: sidesAlone, contended: sidesContended, oneWaits: sidesOneWaits } = sides;
  const alone = {
    script: 'remote-alone',
    args: {
      contenders,
      sides: sidesAlone.map(([, , side]) => side),
      block: BLOCK,
      warmUpRounds,
      rounds: Math.ceil(ROUNDS * scale),
    },
    serve,
  };
  const contended = (side, processes) => ({
    script: 'remote',
    args: {
      contenders,
      side,
      processes,
      workMs: WORK_MS,
      restMs: REST_MS,
      durationMs: DURATION_MS * Math.max(scale, 1),
    },
    serve,
  });
  const oneWaits = (side) => ({
    script: 'remote-one-waits',
    args: { contenders, side, rounds: Math.ceil(HAND_OVERS * scale) },
    serve,
  });
  return [
    ...sidesAlone.map(([name, does, part]) => ({ name, does, group: ALONE, trial: alone, part })),
    ...CONTENDED.flatMap((processes) =>
      sidesContended.map(([name, does, side]) => ({
        name,
        does,
        group: nameOf(processes),
        trial: contended(side, processes),
      })),
    ),
    ...sidesOneWaits.map(([name, does, side]) => ({ name, does, group: ONE_WAITS, trial: oneWaits(side) })),
  ];
}

const BECAUSE = {
  p50:
    'where many ask every 10 ms, one of them asks soon after any release, though not the one that has waited longest; and ' +
    `no message can be ten times quicker, since "${TOKEN}", the least that a server can do, is not either.`,
  p99: 'a process that asks every 10 ms waits for no longer than that, while the longest of a hand-over is that of this machine.',
};
