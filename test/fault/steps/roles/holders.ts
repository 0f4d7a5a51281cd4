// Kills of those who take and give back permits, exclusively.

import { dieInside, GIVE_BACK, RELEASE, TAKE, type Scenario } from '../scenario.js';

export const holders: readonly Scenario[] = [
  {
    role: 'holder',
    title: 'takes a permit',
    steps: [...TAKE, 'acquire_left'],
    async play(stage, step) {
      await stage.witness();
      await dieInside(stage, await stage.user(), step);
    },
  },
  {
    role: 'holder',
    title: 'gives its permit back',
    steps: RELEASE,
    async play(stage, step) {
      await stage.witness();
      await dieInside(stage, await stage.user(), step);
    },
  },
  {
    role: 'holder',
    title: 'gives its permit back while another is stopped inside the latch',
    steps: ['release_flagged', 'release_asked'],
    async play(stage, step) {
      const { lock } = stage;
      await stage.witness();
      const victim = await stage.user();
      const other = await stage.user();
      const grant = await victim.takeOne(lock);
      const { result } = await other.stopAt('acquire_latched', () => other.tryAcquire(lock));
      await victim.dieAt(step, () => victim.release(lock, grant));
      other.continue();
      const taken = await result;
      if (taken === null) throw new Error('who was stopped inside did not get the permit');
      await other.release(lock, taken);
    },
  },
  {
    role: 'holder',
    title: 'frees the permit of a dead holder',
    steps: ['sweep_found', ...GIVE_BACK, 'acquire_permit_taken'],
    async play(stage, step) {
      const { lock } = stage;
      await stage.witness();
      const dead = await stage.user();
      const victim = await stage.user();
      await dead.take(lock, 1);
      await dead.kill();
      await victim.dieAt(step, () => victim.tryAcquire(lock));
    },
  },
];
