// Kills of those who steal, and of those they rob.

import { expect } from 'vitest';

import { eventually } from '../../support/eventually.js';
import type { Grant } from '../../support/lock-process.js';
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
  {
    role: 'waiter',
    title: 'does not want its grant, which told of a death, and was robbed of it meanwhile',
    steps: ['decline_told_on'],
    onlyIf: ({ permits }) => permits === 1,
    async play(stage, step) {
      const { lock } = stage;
      const [holder, victim, thief] = [await stage.user(), await stage.user(), await stage.user()];
      await holder.take(lock, 1);
      const waiting = victim.waitInTurn(lock);
      await eventually(async () => (await thief.query(lock.namespace)).some(({ waiters }) => waiters.length > 0));
      await holder.kill();
      const unwanted = await waiting;
      expect(unwanted).toMatchObject({ abandoned: true });
      const stolen = await thief.call<Grant>('steal', lock);
      expect(stolen).toMatchObject({ abandoned: false });
      await victim.dieAt(step, () => victim.call('decline', lock, unwanted));
      await thief.release(lock, stolen);
      const next = await thief.takeOne(lock);
      expect(next).toMatchObject({ abandoned: true });
      await thief.release(lock, next);
    },
  },
];
