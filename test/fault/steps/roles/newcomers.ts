// Kills of those who come, alone or to others, and make locks.

import { readdirSync, truncateSync } from 'node:fs';

import { CREATE, isForeignStep, MAKE_FOREIGN, OPEN_FOREIGN, type Scenario, type Variant } from '../scenario.js';

const JOIN = [
  'join_gate_locked',
  'join_records_disclaimed',
  'join_generation_counted',
  'join_byte_locked',
  'join_pid_written',
  'join_present',
];
const SECRET = 'secret_semaphore_made';
/** A semaphore of the lock's own has no step of a foreign one, and the other way round. */
const bySemaphore = ({ foreign }: Variant, step: string) => (foreign ? step !== SECRET : !isForeignStep(step));
const FREE = ['recycle_generation_counted', 'recycle_state_cleared', 'recycle_unlinked', 'recycle_freed'];

export const newcomers: readonly Scenario[] = [
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
      SECRET,
      ...MAKE_FOREIGN,
    ],
    onlyIf: bySemaphore,
    async play({ room, lock }, step) {
      const victim = room.process();
      await victim.dieAt(step, () => victim.tryAcquire(lock));
    },
  },
  {
    role: 'newcomer',
    title: 'makes the folder of a group',
    steps: ['group_folder_made'],
    onlyIf: ({ foreign }) => !foreign,
    async play({ room, lock }, step) {
      const ofGroup = { ...lock, owners: { kind: 'group', id: process.getegid!() } } as const;
      const victim = room.process();
      await victim.dieAt(step, () => victim.tryAcquire(ofGroup));
      const next = room.process();
      const had = await next.count(ofGroup);
      if (had !== lock.permits) throw new Error(`${had} permits of the group's lock can be had`);
      await next.exit();
      const left = readdirSync('/dev/shm').filter((name) => /^semlock-(new|group)/.test(name));
      if (left.length > 0) throw new Error(`${left.join()} is left`);
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
    steps: [...CREATE, SECRET],
    async play(stage, step) {
      await stage.witness();
      const victim = await stage.user();
      const second = { ...stage.lock, name: 'a second one', posixName: '' };
      await victim.dieAt(step, () => victim.tryAcquire(second));
      const next = await stage.user();
      const had = await next.count(second);
      if (had !== stage.lock.permits) throw new Error(`${had} permits of the second lock can be had`);
    },
  },
  {
    role: 'newcomer',
    title: 'uses a foreign semaphore beside others',
    steps: OPEN_FOREIGN,
    onlyIf: ({ foreign }) => foreign,
    async play(stage, step) {
      await stage.witness();
      const victim = stage.room.process();
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
    },
  },
  {
    role: 'newcomer',
    title: 'finds that another program has replaced the semaphore under a holder',
    steps: ['foreign_permit_moved', 'foreign_entry_lost', 'foreign_moved'],
    onlyIf: ({ foreign }) => foreign,
    // As between a permit and its tag: whose it is nobody can say.
    gap: (_, step) => (step === 'foreign_permit_moved' ? 1 : 0),
    async play(stage, step) {
      const { lock, room } = stage;
      const [holder, victim] = [await stage.user(), await stage.user()];
      const grant = await holder.takeOne(lock);
      const other = room.process();
      await other.call('semUnlink', lock.posixName);
      const handle = await other.call('semOpen', lock.posixName, lock.permits);
      const taken = step === 'foreign_entry_lost' ? lock.permits! : 0;
      for (let each = 0; each < taken; each++) await other.call('semTryWait', handle);
      await victim.dieAt(step, () => victim.tryAcquire(lock));
      await holder.release(lock, grant);
      for (let each = 0; each < taken; each++) await other.call('semPost', handle);
    },
  },
  {
    role: 'newcomer',
    title: 'makes a semaphore anew that somebody has unlinked under a holder',
    steps: MAKE_FOREIGN,
    onlyIf: ({ foreign }) => foreign,
    async play(stage, step) {
      const { lock, room } = stage;
      const [holder, victim, next] = [await stage.user(), await stage.user(), await stage.user()];
      const grant = await holder.takeOne(lock);
      await room.process().call('semUnlink', lock.posixName);
      await victim.dieAt(step, () => victim.tryAcquire(lock));
      const had = await next.count(lock);
      if (had !== lock.permits! - 1) throw new Error(`${had} permits can be had beside the holder's`);
      if (!(await holder.release(lock, grant))) throw new Error('the holder has lost its permit');
    },
  },
  {
    role: 'newcomer',
    title: 'gives a lock that the dead have left other permits',
    steps: [...FREE, ...CREATE, SECRET],
    onlyIf: ({ foreign }) => !foreign,
    async play({ room, lock, variant }, step) {
      const dead = room.process();
      await dead.take({ ...lock, permits: variant.permits + 1 }, 1);
      await dead.kill();
      const victim = room.process();
      await victim.dieAt(step, () => victim.tryAcquire(lock));
    },
  },
  {
    role: 'newcomer',
    title: 'recycles idle records',
    steps: ['recycle_latched', ...FREE],
    async play(stage, step) {
      await stage.witness();
      const victim = await stage.user();
      const many = { ...stage.lock, named: false, posixName: '' };
      // The table grows by 256 records.
      await victim.dieAt(step, () => victim.call('useEach', many, 'many ', 0, 800));
      const next = await stage.user();
      const busy = await next.call<number>('useEach', many, 'many ', 0, 400);
      if (busy > 0) throw new Error(`${busy} names are stuck`);
    },
  },
];
