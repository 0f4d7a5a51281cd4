// What do processes get that all want one lock?

import { dotChart } from '../harness/chart.mjs';
import { format } from '../harness/format.mjs';
import { atLeast } from '../harness/reach.mjs';
import { ofTrials } from '../harness/statistics.mjs';
import { PEERS, waitingSides } from './waiting-sides.mjs';

const DURATION_MS = 400;
const WARM_UP_MS = 500; // for each process, until V8 has compiled what runs again and again: they share the processors
const PROCESSES = [2, 4, 8];
const ASYNC = 'Lock.acquire()';
const SYNC = 'Lock.acquireSync()';

const IN_TURN = 'C loop, in turn';

const inTurn = (ratio) =>
  'a lock that is released goes to the process that has waited longest, which has to wake up first (see the hand-over). ' +
  'A file lock goes to the process that asks next, so one that runs takes it again and again without that. C programs ' +
  `that take turns, which do nothing else, get ${ratio === undefined ? '?' : format(1 / ratio, 'ratio')} times what ` +
  'the Lock does.';

const GROUPS = PROCESSES.map((processes) => `${processes} processes`);

export const contended = {
  name: 'contended',
  title: 'Contended',
  asks:
    'Several processes acquire and release one lock as fast as they can, with nothing in between. How often do they ' +
    'get it, how evenly (the least that one process got, divided by the most), and how long do they wait?',
  metrics: [
    { key: 'perSecond', title: 'acquired in total', unit: 'perSecond', of: ofTrials('perSecond') },
    { key: 'fairness', title: 'least ÷ most', unit: 'ratio', of: ofTrials('fairness') },
    { key: 'p99Ns', title: 'p99 wait', unit: 'ns', of: ofTrials('p99Ns') },
    { key: 'maxNs', title: 'longest wait', unit: 'ns', of: ofTrials('maxNs') },
  ],
  charts: ['contended'],
  draw: (result) => ({ contended: dotChart(result, 'perSecond') }),

  sides: (scale) =>
    PROCESSES.flatMap((processes, index) => {
      const args = { processes, warmUpMs: WARM_UP_MS * processes, durationMs: DURATION_MS * scale };
      const group = GROUPS[index];
      return [
        {
          name: 'C loop',
          group,
          does: '`sem_wait` and `sem_post` of a named semaphore in C: the limit, and not fair',
          trial: { script: 'contended', args: { program: 'contended', ...args } },
        },
        {
          name: IN_TURN,
          group,
          does: '`sem_wait` and `sem_post` in C, with which each process passes the turn to the next: the limit of order',
          trial: { script: 'contended', args: { program: 'contended', order: 'in-turn', ...args } },
        },
        ...waitingSides('contended', args, group),
      ];
    }),

  reach: (figures) =>
    GROUPS.flatMap((group) => {
      const lead = (side, peers) =>
        least(peers.map((peer) => figures.ratio('perSecond', [side, group], [peer, group])));
      const fairness = (side) => figures.median('fairness', side, group);
      return [
        atLeast(1, `Lock.acquire() ÷ fastest asynchronous peer, ${group}`, lead(ASYNC, PEERS.async), {
          because: inTurn(lead(ASYNC, [IN_TURN])),
        }),
        atLeast(1, `Lock.acquireSync() ÷ fastest synchronous peer, ${group}`, lead(SYNC, PEERS.sync), {
          because: inTurn(lead(SYNC, [IN_TURN])),
        }),
        atLeast(0.5, `least ÷ most of Lock.acquire(), ${group}`, fairness(ASYNC)),
        atLeast(0.5, `least ÷ most of Lock.acquireSync(), ${group}`, fairness(SYNC)),
      ];
    }),
};

/** The least of the ratios to those peers that did not fail. */
function least(ratios) {
  const known = ratios.filter((ratio) => ratio !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
