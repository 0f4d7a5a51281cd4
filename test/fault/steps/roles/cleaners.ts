// Kills of those who clear away what the dead have left of a namespace.

import type { Scenario } from '../scenario.js';

const JOIN = [
  'join_gate_locked',
  'join_records_disclaimed',
  'join_generation_counted',
  'join_byte_locked',
  'join_pid_written',
  'join_present',
];
const LEAVE = ['leave_gate_locked', 'leave_byte_unlocked'];
const CLEAR = ['clear_found', ...JOIN, 'clear_joined', ...LEAVE];
const REMOVE = ['leave_semaphores_unlinked', 'leave_table_unlinked', 'leave_done'];

export const cleaners: readonly Scenario[] = [
  {
    role: 'cleaner',
    title: 'clears what somebody has left who was killed with nothing in hand',
    steps: [...CLEAR, ...REMOVE],
    async play(stage, step) {
      const dead = await stage.user();
      await dead.kill();
      const victim = stage.room.process();
      await victim.dieAt(step, () => victim.clear(stage.room.namespace));
    },
  },
  {
    role: 'cleaner',
    title: 'clears also the news that somebody died with permits in hand',
    steps: [...CLEAR, ...REMOVE],
    async play(stage, step) {
      const dead = await stage.user();
      await dead.take(stage.lock, stage.variant.permits);
      await dead.kill();
      const victim = stage.room.process();
      await victim.dieAt(step, () => victim.clear(stage.room.namespace, true));
    },
  },
];
