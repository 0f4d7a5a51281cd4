// Kills of those who put right what a kill left behind.

import { CREATE, dieInside, gapAt, INSIDE_LATCH, MAKE_FOREIGN, stepsOfRepair, type Scenario } from '../scenario.js';

export const repairers: readonly Scenario[] = [
  ...INSIDE_LATCH.map((first): Scenario => ({
    role: 'repairer',
    title: `comes after one that was killed at ${first}`,
    steps: stepsOfRepair(first),
    onlyIf: (variant, step) => gapAt(variant, first) === 0 || step === 'repair_taken_over' || step === 'repair_counted',
    gap: (variant, step) => gapAt(variant, first) + gapAt(variant, step),
    async play(stage, step) {
      await stage.witness();
      const killed = await stage.user();
      const victim = await stage.user();
      await dieInside(stage, killed, first);
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  })),
  ...CREATE.map((first): Scenario => ({
    role: 'repairer',
    title: `comes after one that was killed at ${first}, in the table's latch`,
    steps: ['rebuild_cleared', 'rebuild_linked'],
    async play(stage, step) {
      await stage.witness();
      const killed = await stage.user();
      const victim = await stage.user();
      const another = { ...stage.lock, name: 'another', posixName: '' };
      await killed.dieAt(first, () => killed.open(another).then(() => killed.tryAcquire(another)));
      await victim.dieAt(step, () => victim.tryAcquire({ ...another, name: 'a third' }));
    },
  })),
  ...MAKE_FOREIGN.map((first): Scenario => ({
    role: 'repairer',
    title: `comes after one that was killed at ${first}`,
    steps: ['foreign_latched', 'repair_counted', 'repair_queue_counted', 'foreign_opened'],
    onlyIf: ({ foreign }) => foreign,
    async play(stage, step) {
      const killed = stage.room.process();
      const victim = stage.room.process();
      await killed.dieAt(first, () => killed.tryAcquire(stage.lock));
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  })),
];
