// How each step of the protocol is reached, by whom, and who else is there: the rows of the kill matrix. A scenario ends
// with a process dead at the step; what must hold then is the same for all of them and is said in kill.test.ts.

import { truncateSync } from 'node:fs';
import { expect } from 'vitest';

import type { Grant, LockDescription, LockProcess } from '../support/lock-process.js';
import type { Room } from '../support/room.js';

export type Role = 'holder' | 'waiter' | 'thief' | 'repairer' | 'newcomer' | 'leaver';

export interface Variant {
  readonly permits: 1 | 3;
  readonly foreign: boolean;
}

/** What a scenario is played with. */
export interface Stage {
  readonly room: Room;
  readonly lock: LockDescription;
  readonly variant: Variant;
  /**
   * A process that has used the lock before and now holds all of its permits but one, so that the one that is left is
   * what the test is about. It does not do anything else, and lives on.
   */
  witness(): Promise<Witness>;
  /** A process that has used the lock before. */
  user(): Promise<LockProcess>;
}

export interface Witness {
  readonly process: LockProcess;
  readonly grants: readonly Grant[];
}

export interface Scenario {
  readonly role: Role;
  readonly title: string;
  /** Each of them is a case. */
  readonly steps: readonly string[];
  readonly onlyIf?: (variant: Variant, step: string) => boolean;
  /** Permits that are missing for ever, as documented. Default: what {@link gapAt} says of the step. */
  readonly gap?: (variant: Variant, step: string) => number;
  play(stage: Stage, step: string): Promise<void>;
}

const TAKE = [
  'acquire_latched',
  'acquire_permit_taken',
  'acquire_token_counted',
  'acquire_entry_filled',
  'acquire_tag_written',
  'acquire_counted',
];
const GIVE_BACK = ['give_back_tag_cleared', 'give_back_counted', 'give_back_posted'];
const CREATE = ['create_latched', 'create_taken_from_free', 'create_filled', 'create_state_written', 'create_linked'];
const UPGRADE = ['upgrade_latched', 'upgrade_created', 'upgrade_flagged'];
const JOIN = ['join_gate_locked', 'join_byte_locked', 'join_generation_counted', 'join_pid_written', 'join_present'];

/** Between the semaphore and the table: with a foreign program nobody can say whose the permit is. */
const BETWEEN = [
  'hand_on_permit_taken',
  'hand_on_granting',
  'acquire_permit_taken',
  'acquire_token_counted',
  'acquire_entry_filled',
  'give_back_tag_cleared',
  'give_back_counted',
];
export const gapAt = ({ foreign }: Variant, step: string) => (foreign && BETWEEN.includes(step) ? 1 : 0);

/** Kills inside the latch of a record: the step, and whether it leaves an entry behind. */
const INSIDE_LATCH = [...TAKE, 'release_latched', ...GIVE_BACK];
const leavesEntry = (step: string) => ['acquire_tag_written', 'acquire_counted', 'release_latched'].includes(step);

/** Brings the process to that step of taking or giving back a permit. */
async function dieInside({ lock }: Stage, process: LockProcess, step: string) {
  if (step.startsWith('acquire_')) {
    await process.dieAt(step, () => process.tryAcquire(lock));
  } else {
    const [grant] = await process.take(lock, 1);
    await process.dieAt(step, () => process.release(lock, grant!));
  }
}

const holder: Scenario[] = [
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
    steps: ['release_latched', ...GIVE_BACK, 'release_left'],
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
      const [grant] = await victim.take(lock, 1);
      const { result } = await other.stopAt('acquire_latched', () => other.tryAcquire(lock));
      await victim.dieAt(step, () => victim.release(lock, grant!));
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

/** Somebody with the last permit, and one who is about to wait for it. */
async function contention(stage: Stage) {
  await stage.witness();
  const [holder, waiter] = [await stage.user(), await stage.user()];
  const [grant] = await holder.take(stage.lock, 1);
  const release = () => holder.release(stage.lock, grant!);
  return { holder, waiter, release };
}

/** Far longer than anything here takes. */
const LONG_MS = 15_000;

const waiter: Scenario[] = [
  {
    role: 'waiter',
    title: 'gets in line',
    steps: [
      'room_waiters_linked',
      'room_entries_linked',
      'enqueue_latched',
      'enqueue_filled',
      'enqueue_tag_written',
      'enqueue_counted',
      'enqueue_left',
    ],
    onlyIf: ({ permits }, step) => step !== 'room_entries_linked' || permits === 1, // for readers
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      await waiter.dieAt(step, () => waiter.wait(stage.lock, LONG_MS));
      await release();
    },
  },
  {
    role: 'waiter',
    title: 'is granted the permit',
    steps: ['collect_read', 'collect_freed'],
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      const death = waiter.dieAt(step, () => waiter.wait(stage.lock, LONG_MS));
      await waiter.isWaiting();
      await release();
      await death;
    },
  },
  {
    role: 'waiter',
    title: 'gives up',
    steps: ['cancel_marked', 'queue_cell_freed'],
    async play(stage, step) {
      const { waiter, release } = await contention(stage);
      await waiter.dieAt(step, () => waiter.wait(stage.lock, 50));
      await release();
    },
  },
  {
    role: 'waiter',
    title: 'is the one to find that who handed the permit to it was killed over it',
    steps: ['repair_taken_over', 'repair_grant_settled', 'repair_queue_counted'],
    gap: (variant) => gapAt(variant, 'hand_on_granting'),
    async play(stage, step) {
      const { holder, waiter, release } = await contention(stage);
      const death = waiter.dieAt(step, () => waiter.wait(stage.lock, LONG_MS));
      await waiter.isWaiting();
      await holder.dieAt('hand_on_granting', release);
      await death;
    },
  },
  {
    role: 'holder',
    title: 'hands its permit on to a waiter',
    steps: ['hand_on_permit_taken', 'hand_on_granting', ...TAKE.slice(2), 'hand_on_entry_written', 'hand_on_granted'],
    async play(stage, step) {
      const { holder, waiter, release } = await contention(stage);
      const lost = gapAt(stage.variant, step) > 0;
      const waiting = waiter.wait(stage.lock, lost ? 500 : LONG_MS);
      await waiter.isWaiting();
      await holder.dieAt(step, release);
      const grant = await waiting;
      if ((grant === null) !== lost) throw new Error(`who waited got ${JSON.stringify(grant)}`);
      if (grant !== null) await waiter.release(stage.lock, grant);
    },
  },
  {
    role: 'holder',
    title: 'hands its permit on to a waiter that would give up meanwhile',
    steps: ['hand_on_granting', 'hand_on_entry_written'],
    async play(stage, step) {
      const { holder, waiter, release } = await contention(stage);
      const waiting = waiter.wait(stage.lock, 300);
      await waiter.isWaiting();
      await holder.stopAt(step, release);
      expect(await waiting, 'its time is over').toBeNull();
      const next = await stage.user();
      await holder.kill();
      if (gapAt(stage.variant, step) > 0) return;
      // The waiter is alive and gives back by itself what came too late, on its next round.
      const { grant } = await next.call<{ grant: Grant }>('tryFor', stage.lock, LONG_MS);
      await next.release(stage.lock, grant);
    },
  },
];

const thief: Scenario[] = [
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

/** The steps that a process comes to that takes the latch over from one that died at `first`, when it tries. */
function stepsOfRepair(first: string): string[] {
  return [
    'repair_taken_over',
    'repair_counted',
    ...(BETWEEN.includes(first) ? ['repair_posted'] : []),
    ...(leavesEntry(first) ? ['sweep_found', ...GIVE_BACK] : []),
    ...TAKE,
    'acquire_left',
  ];
}

const repairer: Scenario[] = [
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
  {
    role: 'repairer',
    title: 'has to hand the repair on, because it knows another semaphore of the record',
    steps: ['repair_taken_over', 'repair_handed_back'],
    onlyIf: ({ foreign }) => !foreign, // a lock without a name in the file system has no foreign programs
    async play(stage, step) {
      const { lock } = stage;
      const keyed = { ...lock, named: false };
      const victim = stage.room.process();
      await victim.count(keyed);
      await stage.witness();
      const killed = await stage.user();
      await dieInside(stage, killed, 'acquire_permit_taken');
      await victim.dieAt(step, () => victim.tryAcquire(keyed));
    },
  },
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
  ...UPGRADE.map((first): Scenario => ({
    role: 'repairer',
    title: `comes after one that was killed at ${first}`,
    steps: first === 'upgrade_flagged' ? ['repair_taken_over', 'repair_counted'] : UPGRADE,
    async play(stage, step) {
      const killed = stage.room.process();
      const victim = stage.room.process();
      await killed.dieAt(first, () => killed.tryAcquire(stage.lock));
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  })),
];

const newcomer: Scenario[] = [
  {
    role: 'newcomer',
    title: 'is the first of its namespace',
    steps: [
      'build_created',
      'build_filled',
      'build_linked',
      ...JOIN,
      'grow_reserved',
      'grow_counted',
      ...CREATE,
      ...UPGRADE,
    ],
    async play({ room, lock }, step) {
      const victim = room.process();
      await victim.dieAt(step, () => victim.tryAcquire(lock));
    },
  },
  {
    role: 'newcomer',
    title: 'joins others',
    steps: JOIN,
    async play(stage, step) {
      await stage.witness();
      const victim = stage.room.process();
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  },
  {
    role: 'newcomer',
    title: 'comes when all others were killed, one of them with a permit in hand',
    steps: JOIN,
    async play(stage, step) {
      const dead = await stage.user();
      await dead.take(stage.lock, 1);
      await dead.kill();
      const victim = stage.room.process();
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  },
  {
    role: 'newcomer',
    title: 'finds a table that was cut off',
    steps: ['leave_semaphores_unlinked', 'leave_table_unlinked'],
    async play(stage, step) {
      const dead = await stage.user();
      await dead.kill();
      truncateSync(stage.room.tablePath, 5000);
      const victim = stage.room.process();
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  },
  {
    role: 'newcomer',
    title: 'makes a second lock beside one that is held',
    steps: [...CREATE, ...UPGRADE],
    async play(stage, step) {
      await stage.witness();
      const victim = await stage.user();
      const second = { ...stage.lock, name: 'a second one', foreign: false, posixName: '' };
      await victim.dieAt(step, () => victim.tryAcquire(second));
      const next = await stage.user();
      const had = await next.count(second);
      if (had !== stage.lock.permits) throw new Error(`${had} permits of the second lock can be had`);
    },
  },
  {
    role: 'newcomer',
    title: 'gives a lock that is held without a semaphore of its own in the file system one',
    steps: UPGRADE,
    onlyIf: ({ foreign }) => !foreign,
    async play(stage, step) {
      const { lock, room } = stage;
      const keyed = { ...lock, named: false };
      const holder = room.process();
      const grants = await holder.take(keyed, stage.variant.permits);
      const victim = room.process();
      await victim.dieAt(step, () => victim.tryAcquire(lock));
      await holder.releaseAll(keyed, grants);
    },
  },
  ...[false, true].map((named): Scenario => ({
    role: 'newcomer',
    title: `recycles idle records ${named ? 'with' : 'without'} a named semaphore`,
    steps: [
      'recycle_latched',
      'recycle_generation_counted',
      'recycle_state_cleared',
      'recycle_unlinked',
      'recycle_freed',
    ],
    async play(stage, step) {
      await stage.witness();
      const victim = await stage.user();
      const many = { ...stage.lock, named, foreign: false, posixName: '' };
      // The table grows by 256 records; those with a named semaphore are left alone until there are many.
      await victim.dieAt(step, () => victim.call('useEach', many, 'many ', 0, named ? 1800 : 800));
      const next = await stage.user();
      const busy = await next.call<number>('useEach', many, 'many ', 0, 400);
      if (busy > 0) throw new Error(`${busy} names are stuck`);
    },
  })),
];

const leaver: Scenario[] = [
  ...[true, false].map((last): Scenario => ({
    role: 'leaver',
    title: `exits with a permit in hand, ${last ? 'the last one there' : 'while others stay'}`,
    steps: [
      'release_latched',
      ...GIVE_BACK,
      'release_left',
      'leave_gate_locked',
      'leave_byte_unlocked',
      ...(last ? ['leave_semaphores_unlinked', 'leave_table_unlinked'] : []),
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
    title: 'ends a worker thread that has a permit in hand',
    steps: ['release_latched', ...GIVE_BACK, 'release_left'],
    async play(stage, step) {
      await stage.witness();
      const victim = await stage.user();
      await victim.call('inWorker', 'hold', stage.lock);
      await victim.dieAt(step, () => victim.call('terminateWorker'));
    },
  },
];

export const scenarios: readonly Scenario[] = [...holder, ...waiter, ...thief, ...repairer, ...newcomer, ...leaver];
