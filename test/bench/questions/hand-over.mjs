// How long does it take until the next one has the lock?

import { dotChart } from '../harness/chart.mjs';
import { atMost } from '../harness/reach.mjs';
import { ofSamples } from '../harness/statistics.mjs';
import { waitingSides } from './waiting-sides.mjs';

const C_PROGRAM = 'C program';
const HAND_OVERS = 400;
/** Long enough for the other process to ask and fall asleep. */
const WORK_US = 300;

export const handOver = {
  name: 'handover',
  title: 'Hand-over',
  asks:
    'Two processes pass a lock to and fro, and work for 0.3 ms with it. How long does it take from the release of the ' +
    'one to the grant of the other, which is asleep until then?',
  metrics: [
    { key: 'p50', title: 'p50', unit: 'ns', of: ofSamples('handOverNs', 0.5) },
    { key: 'p99', title: 'p99', unit: 'ns', of: ofSamples('handOverNs', 0.99) },
  ],
  charts: ['handover'],
  draw: (result) => ({ handover: dotChart(result, 'p50') }),

  sides(scale) {
    const args = { handOvers: HAND_OVERS * scale, workUs: WORK_US };
    return [
      {
        name: C_PROGRAM,
        does: '`sem_post` of the one and `sem_wait` of the other, in C: the limit',
        trial: { script: 'hand-over', args: { program: 'hand-over', ...args } },
      },
      ...waitingSides('hand-over', args),
    ];
  },

  reach: (figures) =>
    ['Lock.acquire()', 'Lock.acquireSync()'].map((side) =>
      atMost(4, `${side} ÷ C program, p50`, figures.ratio('medianNs', [side], [C_PROGRAM])),
    ),
};
