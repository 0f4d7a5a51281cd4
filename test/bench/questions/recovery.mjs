// How long is a lock lost to those who wait when its holder is killed?

import { dotChart } from '../harness/chart.mjs';
import { atMost } from '../harness/reach.mjs';
import { ofSamples } from '../harness/statistics.mjs';

/** 203 kills in 7 trials. */
const KILLS = 29;
/** Fewer, because it takes long to make such a process. */
const KILLS_OF_LARGE = 3;
const SMALL_MIB = 50;
const LARGE_MIB = 1024;
const SMALL = '50 MiB';
const LARGE = '1 GiB';

const GIVE_UP_MS = 2_000;
/** A lock of proper-lockfile counts as left behind after 10 s. */
const GIVE_UP_ON_STALE_MS = 20_000;

const SIDES = [
  ['Lock', '`acquire()`', 'semlock', 'acquire'],
  ['fs-ext', "`flock(fd, 'ex')`: the kernel releases when it closes the files of the dead", 'fs-ext', 'wait'],
  ['fs-native-extensions', '`waitForLock(fd)`: likewise', 'fs-native-extensions', 'wait'],
];

export const recovery = {
  name: 'recovery',
  title: 'Recovery',
  asks:
    'A process holds the lock and another waits for it. How long does it take from the SIGKILL of the holder to the ' +
    "grant? Part of it is the kernel's work to free the memory of the dead, so holders of two sizes are killed.",
  metrics: [
    { key: 'p50', title: 'p50', unit: 'ns', of: ofSamples('recoveryNs', 0.5) },
    { key: 'p99', title: 'p99', unit: 'ns', of: ofSamples('recoveryNs', 0.99) },
    { key: 'longest', title: 'longest', unit: 'ns', of: ofSamples('recoveryNs', 1) },
  ],
  charts: ['recovery'],
  draw: (result) => ({ recovery: dotChart(result, 'p99') }),

  sides(scale) {
    const side = (group, residentMiB, kills) => (row) => {
      const [name, does, contender, variant] = row;
      const args = { contender, variant, residentMiB, kills: Math.ceil(kills * scale), giveUpMs: GIVE_UP_MS };
      return { name, does, group, trial: { script: 'recovery', args } };
    };
    return [
      ...SIDES.map(side(SMALL, SMALL_MIB, KILLS)),
      ...SIDES.map(side(LARGE, LARGE_MIB, KILLS_OF_LARGE)),
      waitingInVain(
        'proper-lockfile',
        '`lock()`, asking again every 10 ms, one kill',
        'proper-lockfile',
        'wait',
        GIVE_UP_ON_STALE_MS,
      ),
      waitingInVain(
        'lockfile',
        '`lock()`, asking again every 10 ms, with no age at which a lock is stale',
        'lockfile',
        'wait',
        GIVE_UP_MS,
      ),
      waitingInVain(
        'plain semaphore',
        '`NamedSemaphore`, asked every millisecond',
        'semlock',
        'namedSemaphore',
        GIVE_UP_MS,
      ),
    ];
  },

  reach: (figures) => {
    const at = (name, share) => {
      const trials = figures.trials(name, SMALL);
      return trials && ofSamples('recoveryNs', share)(trials).value;
    };
    const [lock, flock] = [at('Lock', 0.5), at('fs-ext', 0.5)];
    return [
      atMost(1.5, `Lock ÷ flock(2), p50, holder of ${SMALL}`, lock && flock && lock / flock),
      atMost(10e6, `p99 of Lock, holder of ${SMALL}`, at('Lock', 0.99), {
        unit: 'ns',
        because:
          'the kernel tells of a death when it has freed the memory of the dead, and then the process that waits has to ' +
          'come to run; the file locks of the same run have such a tail too.',
      }),
    ];
  },
};

/** For sides that need long, or forever: their trials run at the same time, because they mostly sleep. */
function waitingInVain(name, does, contender, variant, giveUpMs) {
  const args = { contender, variant, residentMiB: SMALL_MIB, kills: 1, giveUpMs };
  return { name, does, group: SMALL, idle: true, trial: { script: 'recovery', args } };
}
