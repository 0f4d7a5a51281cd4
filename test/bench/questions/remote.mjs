// What does a lock on a server cost, and how soon has the next one it?

import { startRedis } from '../contenders/redis-server.mjs';
import { dotChart } from '../harness/chart.mjs';
import { atLeast, atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

const DURATION_MS = 800;
const WORK_MS = 2;
/** Longer than those who poll wait until they ask again. */
const REST_MS = 15;

const ALONE = 'alone';
const GROUPS = [
  [ALONE, 1, 0, 0],
  ['2 processes', 2, WORK_MS, REST_MS],
  ['8 processes', 8, WORK_MS, REST_MS],
];
const CONTENDED = GROUPS.slice(1).map(([group]) => group);

const SEMLOCK = 'semlock over Redis';
const BARE = 'two round trips';
const POLLERS = ['redlock', 'redis-semaphore', 'SET NX'];

const SIDES = [
  [SEMLOCK, '`acquire()` and `await using` of a `Lock` with `redisStore()`', 'semlock'],
  ['redlock', '`acquire()` and `release()`, with one server, asking again every 10 ms', 'redlock'],
  ['redis-semaphore', '`Mutex`, asking again every 10 ms', 'redis-semaphore'],
  ['SET NX', '`SET … NX PX` and a script that deletes, asking again every 10 ms', 'setNx'],
];

export const remote = {
  name: 'remote',
  title: 'Locks on a server',
  asks:
    'A process alone acquires and releases a lock on a Redis server, over a Unix socket: how often, and how long does one ' +
    `pair take? And where several processes want it, work for ${WORK_MS} ms with it and rest for ${REST_MS} ms: how often do they get it in total, ` +
    'and how long does it take from the release of one to the grant of another, which waited?',
  metrics: [
    { key: 'perSecond', title: 'acquired in total', unit: 'perSecond', of: ofTrials('perSecond') },
    { key: 'p50Ns', title: 'pair or hand-over, p50', unit: 'ns', of: ofTrials('p50Ns') },
    { key: 'p99Ns', title: 'p99', unit: 'ns', of: ofTrials('p99Ns') },
  ],
  charts: ['remote'],
  draw: (result) => ({ remote: dotChart(result, 'p50Ns') }),

  sides(scale) {
    const sideOf = ([group, processes, workMs, restMs], [name, does, side]) => {
      const args = { side, processes, workMs, restMs, durationMs: DURATION_MS * scale };
      return { name, group, does, trial: { script: 'remote', args, serve: startRedis } };
    };
    const bare = [BARE, 'two scripts that do nothing, with the arguments of those of semlock: the limit', 'roundTrips'];
    return [sideOf(GROUPS[0], bare), ...GROUPS.flatMap((group) => SIDES.map((side) => sideOf(group, side)))];
  },

  reach: (figures) => [
    atMost(1.3, `${SEMLOCK} ÷ ${BARE}, p50`, figures.ratio('p50Ns', [SEMLOCK, ALONE], [BARE, ALONE]), {
      because:
        'the server runs one script at a time, and each of the two reads and writes what keeps the promises of a lock: ' +
        'the session, the number of the request, the token, and whether the server is another one since, which INFO ' +
        'alone can say within a script.',
    }),
    ...CONTENDED.flatMap((group) =>
      POLLERS.map((poller) =>
        atLeast(
          10,
          `${poller} ÷ ${SEMLOCK}, p50, ${group}`,
          figures.ratio('p50Ns', [poller, group], [SEMLOCK, group]),
          {
            because:
              'where many ask every 10 ms, one of them asks soon after any release; not the one that has waited longest.',
          },
        ),
      ),
    ),
  ],
};
