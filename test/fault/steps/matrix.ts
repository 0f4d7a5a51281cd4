// The kill matrix: a process is killed at a numbered step of the protocol, in every role in which it comes to that step.
// Whatever it was about, the others have all permits afterwards, and not one more.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LockProcess, type Grant, type LockDescription } from '../support/lock-process.js';
import { promptly } from '../support/promptly.js';
import { endSpareProcesses, Room } from '../support/room.js';
import { gapAt, type Scenario, type Stage, type Variant, type Witness } from './scenario.js';

/** Who is next in line has it so soon after a death. */
const SERVED_MS = 100;

// Who lives on does nothing by itself, so that each step is left to whom the scenario has in mind.
process.env['SEMLOCK_LOOK_AFTER_NOTHING'] = '1';

const WHOLE = process.env['SEMLOCK_MATRIX'] === 'whole';

const variants: Variant[] = [1, 3].flatMap((permits) =>
  [false, true].map((foreign) => ({ permits: permits as 1 | 3, foreign })),
);

/** Plays each scenario with each of its steps, and kills a process there. */
export function killAtEachStep(scenarios: readonly Scenario[]): void {
  afterAll(endSpareProcesses);
  for (const scenario of scenarios) {
    describe(`a ${scenario.role} that ${scenario.title}`, () => playEachStep(scenario, (possible) => possible));
  }
}

/**
 * The same for second deaths: those who put right what a death has left are killed at each of their steps. These are many pairs of
 * steps, so each pair is played in one of the variants, in turns; in all of them with `SEMLOCK_MATRIX=whole`.
 */
export function killAtEachPairOfSteps(scenarios: readonly Scenario[]): void {
  afterAll(endSpareProcesses);
  for (const [number, scenario] of scenarios.entries()) {
    describe(`a ${scenario.role} that ${scenario.title}`, () => {
      playEachStep(scenario, (possible, index) =>
        WHOLE ? possible : possible.slice((number + index) % possible.length).slice(0, 1),
      );
    });
  }
}

/** Which of the variants that a step can be played in are to be played. */
type Choice = (possible: readonly Variant[], index: number) => readonly Variant[];

function playEachStep(scenario: Scenario, choose: Choice): void {
  const cases = scenario.steps.flatMap((step, index) => {
    const possible = variants.filter((variant) => scenario.onlyIf?.(variant, step) ?? true);
    return choose(possible, index).map((variant) => ({
      step,
      variant,
      title: `${variant.permits}${variant.foreign ? ', foreign' : ''}`,
    }));
  });

  let standing: Standing;
  beforeAll(() => void (standing = new Standing()));
  afterAll(() => standing.cleanUp());

  it.each(cases)('and is killed at $step leaves all permits to others ($title)', async ({ step, variant }) => {
    await promptly(SERVED_MS, async () => {
      const stage = new PlayedStage(variant, standing);
      await scenario.play(stage, step);
      const gap = scenario.gap?.(variant, step) ?? gapAt(variant, step);
      await stage.expectPermits(variant.permits - gap);
      return stage.servedMs;
    });
  });

  it('leaves no files behind when all others have gone', async () => {
    await standing.leave();
    expect(standing.rooms.flatMap((room) => room.files())).toEqual([]);
  });
}

/** Processes that live on from case to case, each in a namespace of its own: to start them takes most of the time. */
class Standing {
  readonly rooms: Room[] = [];
  readonly witness = LockProcess.start();
  readonly newcomer = LockProcess.start();
  readonly #cleanUps: (() => Promise<void>)[] = [];

  room(): Room {
    const room = new Room((cleanUp) => this.#cleanUps.push(cleanUp));
    this.rooms.push(room);
    return room;
  }

  /** Whoever still lives ends in an orderly way. */
  async leave(): Promise<void> {
    for (const room of this.rooms) await room.everybodyLeaves();
    for (const each of [this.witness, this.newcomer]) await each.exit();
  }

  async cleanUp(): Promise<void> {
    for (const each of [this.witness, this.newcomer]) await each.kill();
    for (const cleanUp of this.#cleanUps) await cleanUp();
  }
}

class PlayedStage implements Stage {
  readonly room: Room;
  readonly lock: LockDescription;
  readonly variant: Variant;
  /** How long it took until the next one was served: after a death, or with its first try after one. */
  servedMs = 0;
  readonly #standing: Standing;
  #witness: Witness | undefined;

  constructor(variant: Variant, standing: Standing) {
    this.variant = variant;
    this.#standing = standing;
    this.room = standing.room();
    const { permits, foreign } = variant;
    const posixName = foreign ? this.room.posixName() : '';
    this.lock = { namespace: this.room.namespace, name: 'lock', permits, posixName };
  }

  async witness(): Promise<Witness> {
    const process = this.#standing.witness;
    await process.count(this.lock);
    return (this.#witness = { process, grants: await process.take(this.lock, this.variant.permits - 1) });
  }

  async user() {
    const process = this.room.process();
    await process.count(this.lock);
    return process;
  }

  async servedAfter(before: Promise<unknown>, waiting: Promise<Grant | null>): Promise<Grant> {
    await before;
    const start = performance.now();
    const grant = await waiting;
    if (grant === null) throw new Error('who was next in line was not served');
    this.servedMs = Math.max(this.servedMs, performance.now() - start);
    return grant;
  }

  /** After the death: exactly so many permits, for the processes that were there and for those that come. */
  async expectPermits(expected: number): Promise<void> {
    const { room, lock } = this;
    const { newcomer } = this.#standing;
    const { process, grants } = this.#witness ?? { process: newcomer, grants: [] };
    const had = [...grants];
    if (expected > had.length) {
      // The first try after the death has to do.
      const { grant, tries, ms } = await process.call<{ grant: Grant | null; tries: number; ms: number }>(
        'tryFor',
        lock,
        0,
      );
      expect(grant, 'the first try').not.toBeNull();
      expect(tries).toBe(1);
      this.servedMs = Math.max(this.servedMs, ms);
      had.push(grant!);
    }
    had.push(...(await process.take(lock, expected - had.length)));
    expect(await process.tryAcquire(lock), 'one more than there are').toBeNull();
    if (expected === 1 && lock.permits === 1) {
      expect(await process.tryAcquire(lock, 'shared'), 'a reader beside a writer').toBeNull();
    }
    await process.releaseAll(lock, had);
    if (expected === 1 && lock.permits === 1) await this.#expectReadersTogether(process, newcomer);

    expect(await newcomer.count(lock)).toBe(expected);
    const semaphore = lock.posixName || room.semaphoreName();
    if (semaphore !== undefined) expect(await newcomer.semValue(semaphore)).toBe(expected);
    const missing = this.variant.permits - expected;
    expect(await newcomer.query(room.namespace)).toMatchObject(
      missing === 0 ? [] : [{ name: lock.name, permits: lock.permits, missing, holders: [] }],
    );
    if (missing > 0) await this.#expectFilledByPost(newcomer);
  }

  /** What was abandoned by a holder whose permit was lost is told when the permit is there again. */
  async #expectFilledByPost(newcomer: LockProcess): Promise<void> {
    const { lock } = this;
    const semaphore = await newcomer.call<number>('semOpen', lock.posixName, 0);
    expect(await newcomer.call('semPost', semaphore)).toBe(true);
    expect(await newcomer.count(lock)).toBe(lock.permits);
    expect(await newcomer.query(lock.namespace)).toEqual([]);
  }

  async #expectReadersTogether(one: LockProcess, other: LockProcess): Promise<void> {
    const { lock } = this;
    const grants = [await one.takeOne(lock, 'shared'), await other.takeOne(lock, 'shared')];
    expect(await one.tryAcquire(lock), 'a writer beside readers').toBeNull();
    await one.release(lock, grants[0]!);
    expect(await one.tryAcquire(lock), 'a writer beside the last reader').toBeNull();
    await other.release(lock, grants[1]!);
  }
}
