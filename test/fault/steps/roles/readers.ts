// Kills of those who hold a lock together, or are about to. The first reader takes the permit for all of them, and the
// last one brings it back: so it matters who else is there.

import { expect } from 'vitest';

import type { Grant, LockProcess } from '../../support/lock-process.js';
import {
  dieInside,
  gapAt,
  GIVE_BACK,
  HAND_ON,
  INSIDE_LATCH,
  isBetween,
  LONG_MS,
  RELEASE,
  stepsOfRepair,
  TAKE,
  type Scenario,
  type Stage,
  type Variant,
} from '../scenario.js';

const ROOM = ['room_waiters_linked', 'room_entries_linked'];

/** Where others read, the permit is theirs too, so that nobody can lose it. */
const noGap = () => 0;
const onlyIfSharable = ({ permits }: Variant) => permits === 1;

interface Reader {
  readonly process: LockProcess;
  readonly grant: Grant;
}

async function reader(stage: Stage): Promise<Reader> {
  const process = await stage.user();
  return { process, grant: await process.takeOne(stage.lock, 'shared') };
}

function dieReleasing({ lock }: Stage, { process, grant }: Reader, step: string): Promise<void> {
  return process.dieAt(step, () => process.release(lock, grant));
}

/** Those that still read keep writers out, let a further reader in, and leave. */
async function readOn({ lock }: Stage, ...readers: Reader[]): Promise<void> {
  const { process } = readers[0]!;
  expect(await process.tryAcquire(lock), 'a writer beside those that still read').toBeNull();
  await process.release(lock, await process.takeOne(lock, 'shared'));
  for (const { process, grant } of readers) expect(await process.release(lock, grant)).toBe(true);
}

/** A writer that is about to leave, and two readers in line behind it. */
async function lineOfReaders(stage: Stage, ms: number) {
  const { lock } = stage;
  await stage.witness();
  const writer = await stage.user();
  const grant = await writer.takeOne(lock);
  const line: { process: LockProcess; waiting: Promise<Grant | null> }[] = [];
  while (line.length < 2) {
    const process = await stage.user();
    line.push({ process, waiting: process.wait(lock, ms, 'shared') });
    await process.isWaiting();
  }
  return { writer, line, release: () => writer.release(lock, grant) };
}

const coming: Scenario[] = [
  {
    role: 'reader',
    title: 'is the first to come',
    steps: [...TAKE, 'acquire_left'],
    onlyIf: onlyIfSharable,
    async play(stage, step) {
      await stage.witness();
      await dieInside(stage, await stage.user(), step, 'shared');
    },
  },
  {
    role: 'reader',
    title: 'joins another',
    steps: [...ROOM, ...TAKE, 'acquire_left'],
    onlyIf: onlyIfSharable,
    gap: noGap,
    async play(stage, step) {
      await stage.witness();
      const other = await reader(stage);
      const victim = await stage.user();
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock, 'shared'));
      await readOn(stage, other);
    },
  },
];

const going: Scenario[] = [
  ...['first', 'second', 'last'].map((place, index): Scenario => ({
    role: 'reader',
    title: `was the ${place} of three to come and is the first to go`,
    steps: RELEASE,
    onlyIf: onlyIfSharable,
    gap: noGap,
    async play(stage, step) {
      await stage.witness();
      const readers = [await reader(stage), await reader(stage), await reader(stage)];
      const [victim] = readers.splice(index, 1);
      await dieReleasing(stage, victim!, step);
      await readOn(stage, ...readers);
    },
  })),
  {
    role: 'reader',
    title: 'is the last to go',
    steps: RELEASE,
    onlyIf: onlyIfSharable,
    async play(stage, step) {
      await stage.witness();
      const [first, victim] = [await reader(stage), await reader(stage)];
      await first.process.release(stage.lock, first.grant);
      await dieReleasing(stage, victim, step);
    },
  },
  {
    role: 'reader',
    title: 'is the last to go and hands on to a writer',
    steps: HAND_ON,
    onlyIf: onlyIfSharable,
    async play(stage, step) {
      const { lock, variant } = stage;
      const lost = gapAt(variant, step) > 0;
      await stage.witness();
      const victim = await reader(stage);
      const writer = await stage.user();
      const waiting = writer.wait(lock, lost ? 500 : LONG_MS);
      await writer.isWaiting();
      const death = dieReleasing(stage, victim, step);
      if (lost) expect(await waiting, 'what the writer gets').toBeNull();
      else await writer.release(lock, await stage.servedAfter(death, waiting));
      await death;
    },
  },
  {
    role: 'reader',
    title: 'frees the place of a dead one beside which another reads',
    steps: ['sweep_found', ...GIVE_BACK],
    onlyIf: onlyIfSharable,
    gap: noGap,
    async play(stage, step) {
      await stage.witness();
      const [dead, other, victim] = [await reader(stage), await reader(stage), await stage.user()];
      await dead.process.kill();
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock));
      await readOn(stage, other);
    },
  },
];

const inLine: Scenario[] = [
  {
    role: 'reader',
    title: 'is granted the permit together with another',
    steps: ['collect_marked', 'collect_freed'],
    onlyIf: onlyIfSharable,
    async play(stage, step) {
      const { lock } = stage;
      await stage.witness();
      const writer = await stage.user();
      const grant = await writer.takeOne(lock);
      const [victim, other] = [await stage.user(), await stage.user()];
      const death = victim.dieAt(step, () => victim.wait(lock, LONG_MS, 'shared'));
      await victim.isWaiting();
      const waiting = other.wait(lock, LONG_MS, 'shared');
      await other.isWaiting();
      const got = await stage.servedAfter(writer.release(lock, grant), waiting);
      await death;
      await readOn(stage, { process: other, grant: got });
    },
  },
  ...[1, 2].map((count): Scenario => ({
    role: 'holder',
    title: `hands on to two readers, at the ${count === 1 ? 'first' : 'second'} one`,
    steps: HAND_ON,
    onlyIf: onlyIfSharable,
    gap: (variant, step) => (count === 1 ? gapAt(variant, step) : 0),
    async play(stage, step) {
      const lost = count === 1 && gapAt(stage.variant, step) > 0;
      const { writer, line, release } = await lineOfReaders(stage, lost ? 500 : LONG_MS);
      const death = writer.dieAt(step, release, count);
      if (lost) {
        for (const { waiting } of line) expect(await waiting, 'what a reader gets').toBeNull();
        await death;
        return;
      }
      const readers = line.map(async ({ process, waiting }) => ({
        process,
        grant: await stage.servedAfter(death, waiting),
      }));
      await readOn(stage, ...(await Promise.all(readers)));
    },
  })),
  ...['hand_on_granting', 'hand_on_entry_written'].map((first): Scenario => ({
    role: 'reader',
    title: `is the one to find that who handed on to readers was killed at ${first}`,
    steps: ['repair_taken_over', 'repair_grant_settled', 'repair_queue_counted'],
    onlyIf: ({ permits, foreign }) => permits === 1 && !foreign, // else the permit may be a gap, and nobody be served
    async play(stage, step) {
      const { lock } = stage;
      await stage.witness();
      const [writer, victim, other] = [await stage.user(), await stage.user(), await stage.user()];
      const grant = await writer.takeOne(lock);
      const death = victim.dieAt(step, () => victim.wait(lock, LONG_MS, 'shared'));
      await victim.isWaiting();
      const waiting = other.wait(lock, LONG_MS, 'shared');
      await other.isWaiting();
      await other.stop(); // else it may be the one
      await writer.dieAt(first, () => writer.release(lock, grant));
      await death;
      other.continue();
      await readOn(stage, { process: other, grant: await stage.servedAfter(death, waiting) });
    },
  })),
];

export const repairingReaders: readonly Scenario[] = [
  ...INSIDE_LATCH.map((first): Scenario => ({
    role: 'repairer',
    title: `reads, and comes after a reader that was killed at ${first} beside another`,
    steps: stepsOfRepair(first).filter((step) => step !== 'repair_posted'),
    onlyIf: onlyIfSharable,
    gap: noGap,
    async play(stage, step) {
      await stage.witness();
      const other = await reader(stage);
      const [killed, victim] = [await stage.user(), await stage.user()];
      await dieInside(stage, killed, first, 'shared');
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock, 'shared'));
      await readOn(stage, other);
    },
  })),
  // One for each state that a reader without company can leave the record in.
  ...[
    'acquire_permit_taken',
    'acquire_tag_written',
    'release_latched',
    'give_back_tag_cleared',
    'give_back_posted',
  ].map((first): Scenario => ({
    role: 'repairer',
    title: `reads, and comes after a reader that was killed at ${first} without company`,
    steps: stepsOfRepair(first),
    onlyIf: ({ permits, foreign }) => permits === 1 && !(foreign && isBetween(first)),
    async play(stage, step) {
      await stage.witness();
      const [killed, victim] = [await stage.user(), await stage.user()];
      await dieInside(stage, killed, first, 'shared');
      await victim.dieAt(step, () => victim.tryAcquire(stage.lock, 'shared'));
    },
  })),
];

export const readers: readonly Scenario[] = [...coming, ...going, ...inLine];
