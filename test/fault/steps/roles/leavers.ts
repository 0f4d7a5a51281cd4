// Kills of those who are about to end anyway.

import { RELEASE, type Scenario } from '../scenario.js';

export const leavers: readonly Scenario[] = [
  ...[true, false].map((last): Scenario => ({
    role: 'leaver',
    title: `exits with a permit in hand, ${last ? 'the last one there' : 'while others stay'}`,
    steps: [
      ...RELEASE,
      'leave_gate_locked',
      'leave_byte_unlocked',
      ...(last ? ['leave_table_kept'] : []),
      'leave_done',
    ],
    async play(stage, step) {
      if (!last) await stage.witness();
      const victim = await stage.user();
      await victim.take(stage.lock, 1);
      await victim.dieAt(step, () => victim.call('exit', 0));
    },
  })),
  {
    role: 'leaver',
    title: 'exits with nothing in hand, the last one there',
    steps: [
      'leave_gate_locked',
      'leave_byte_unlocked',
      'leave_semaphores_unlinked',
      'leave_table_unlinked',
      'leave_done',
    ],
    async play(stage, step) {
      const victim = await stage.user();
      await victim.dieAt(step, () => victim.call('exit', 0));
    },
  },
  {
    role: 'leaver',
    title: 'exits without a look at what the last one before it held, who was killed',
    steps: ['leave_gate_locked', 'leave_byte_unlocked', 'leave_table_kept', 'leave_done'],
    async play(stage, step) {
      const dead = await stage.user();
      await dead.take(stage.lock, 1);
      await dead.kill();
      const victim = stage.room.process();
      await victim.count({ ...stage.lock, name: 'another', posixName: '' });
      await victim.dieAt(step, () => victim.call('exit', 0));
    },
  },
  {
    role: 'leaver',
    title: 'ends a worker thread that has a permit in hand',
    steps: RELEASE,
    async play(stage, step) {
      await stage.witness();
      const victim = await stage.user();
      await victim.call('inWorker', 'hold', stage.lock);
      await victim.dieAt(step, () => victim.call('terminateWorker'));
    },
  },
];
