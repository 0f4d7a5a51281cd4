// How long does it take to acquire and release a lock that nobody else wants?

import { node24 } from '../contenders/web-locks.mjs';
import { startRedis } from '../contenders/redis-server.mjs';
import { dotChart } from '../harness/chart.mjs';
import { format } from '../harness/format.mjs';
import { atLeast, atMost } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';

const MEASURE_MS = 100;
const MEMORY_FILE_SYSTEM = '/dev/shm';

export const uncontended = {
  name: 'uncontended',
  title: 'Uncontended acquire and release',
  asks: 'How long does it take one process to acquire and release a lock that nobody else wants?',
  metrics: [{ key: 'pairNs', title: 'one pair', unit: 'ns', of: ofTrials('pairNs') }],
  charts: ['uncontended'],
  draw: (result) => ({ uncontended: dotChart(result, 'pairNs') }),

  sides(scale) {
    const measureMs = MEASURE_MS * scale;
    const side = (name, does, contender, variant, trial) => ({
      name,
      does,
      trial: { script: 'uncontended', args: { contender, variant, measureMs }, ...trial },
    });
    return [
      {
        name: 'C loop',
        does: '`sem_trywait` and `sem_post` of a named semaphore in C: the limit',
        trial: { script: 'c-program', args: { program: 'pair-loop', args: [measureMs] } },
      },
      side(
        'two native calls',
        'the same two calls as functions of the addon, with no object around them',
        'semlock',
        'nativeCalls',
      ),
      side(
        'Atomics',
        'the six locked instructions of a pair of `Lock`, and nothing else, as calls of `Atomics` in JavaScript',
        'atomics',
        'pair',
      ),
      side('NamedSemaphore', '`tryWait()` and `post()`', 'semlock', 'namedSemaphore'),
      side('Lock', '`tryAcquire()` and `release()`', 'semlock', 'lock'),
      side('Semaphore', '`tryAcquire()` and `release()`, 4 permits', 'semlock', 'semaphore'),
      side('Lock.acquire()', '`await acquire()` and `release()`', 'semlock', 'acquire'),
      side(
        'keyed lock, hot',
        'a name made per request, as the middleware finds its lock, one of 16 in turn',
        'semlock',
        'keyedHot',
      ),
      side('keyed lock, cold', 'the same, each time a name never seen before', 'semlock', 'keyedCold'),
      side(
        'flock, bare addon',
        '`flock(2)` through two Node-API functions that do nothing else',
        'flock-addon',
        'pair',
      ),
      side('fs-ext', "`flockSync(fd, 'exnb')` and `flockSync(fd, 'un')`", 'fs-ext', 'pair'),
      side('fs-native-extensions', '`tryLock(fd)` and `unlock(fd)`', 'fs-native-extensions', 'pair'),
      side('os-lock', '`await lock(fd, { exclusive, immediate })` and `await unlock(fd)`', 'os-lock', 'pair'),
      side('lockfile', '`lockSync()` and `unlockSync()`', 'lockfile', 'pair'),
      side('lockfile, in memory', 'the same on a file system in memory', 'lockfile', 'pair', {
        parentFolder: MEMORY_FILE_SYSTEM,
      }),
      side('proper-lockfile', '`lockSync()` and `unlockSync()`', 'proper-lockfile', 'pair'),
      side('proper-lockfile, in memory', 'the same on a file system in memory', 'proper-lockfile', 'pair', {
        parentFolder: MEMORY_FILE_SYSTEM,
      }),
      side('Redis', '`SET … NX PX` and a script that deletes, over a Unix socket', 'redis', 'pair', {
        serve: startRedis,
      }),
      side(
        'navigator.locks',
        '`await request(name, callback)` in Node.js 24: within one process',
        'web-locks',
        'pair',
        { runtime: node24 },
      ),
      side('async-mutex', '`await acquire()` and release: within one thread', 'async-mutex', 'pair'),
    ];
  },

  reach(figures) {
    const ratio = (side, other) => figures.ratio('pairNs', [side], [other]);
    const floor = ratio('two native calls', 'C loop');
    const peerToFloor = ratio('fs-native-extensions', 'two native calls');
    return [
      atMost(4, 'Lock ÷ C loop', ratio('Lock', 'C loop'), {
        because:
          `two calls of an addon that do the same as the loop and nothing else take ${shown(floor)} times as long as it. ` +
          'On top of that, each of the two calls of a lock takes and leaves a latch and writes or clears who holds it, ' +
          'which is two more locked instructions, and the first one asks for the time. In JavaScript, without an addon, ' +
          `these instructions alone would take ${shown(ratio('Atomics', 'C loop'))} times as long as the loop.`,
      }),
      atLeast(25, 'fs-native-extensions ÷ Lock', ratio('fs-native-extensions', 'Lock'), {
        because:
          `its pair, two system calls, is only ${shown(peerToFloor)} times slower than two calls of an addon that take ` +
          'and post a semaphore, which no lock of an addon can undercut.',
      }),
      atLeast(4, 'flock, bare addon ÷ Lock', ratio('flock, bare addon', 'Lock'), {
        because:
          `its two system calls take only ${shown(ratio('flock, bare addon', 'two native calls'))} times as long as two ` +
          'calls of an addon that take and post a semaphore, and a lock keeps its record beside that. Processors differ ' +
          'in this: some are quick with system calls, others with locked instructions.',
      }),
      atLeast(5000, 'proper-lockfile ÷ Lock', ratio('proper-lockfile', 'Lock'), {
        because:
          `its pair, which makes and removes a folder, takes only ${shown(ratio('proper-lockfile', 'two native calls'))} ` +
          'times as long on this disk as two calls of an addon that take and post a semaphore.',
      }),
      atMost(1.5, 'keyed lock, hot ÷ Lock', ratio('keyed lock, hot', 'Lock')),
      // 200 ns on a machine where the two calls take 53 ns.
      atMost(3.77, 'Lock ÷ two native calls', ratio('Lock', 'two native calls')),
    ];
  },
};

function shown(figure) {
  return figure === undefined ? '?' : format(figure, 'ratio');
}
