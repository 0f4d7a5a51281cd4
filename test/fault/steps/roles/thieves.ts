// Kills of those who steal.

import { GIVE_BACK, type Scenario } from '../scenario.js';

export const thieves: readonly Scenario[] = [
  {
    role: 'thief',
    title: 'steals from a holder that lives',
    steps: ['steal_found', ...GIVE_BACK, 'acquire_permit_taken', 'acquire_tag_written'],
    async play({ room, lock, variant }, step) {
      const holder = room.process();
      const grants = await holder.take(lock, variant.permits);
      const victim = room.process();
      await victim.dieAt(step, () => victim.call('steal', lock));
      for (const grant of grants) await holder.release(lock, grant); // what it has left of them
    },
  },
];
