// A process is killed at a numbered step of the protocol, in every role in which it comes to that step. Whatever it was
// about, the others have all permits afterwards, and not one more.

import { createRequire } from 'node:module';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { FAULT_ADDON, LockProcess, type Grant, type LockDescription } from '../support/lock-process.js';
import { endSpareProcesses, Room } from '../support/room.js';
import { gapAt, scenarios, type Stage, type Variant, type Witness } from './scenarios.js';

const steps = (createRequire(import.meta.url)(FAULT_ADDON) as { faultSteps(): string[] }).faultSteps();

const variants: Variant[] = [1, 3].flatMap((permits) =>
  [false, true].map((foreign) => ({ permits: permits as 1 | 3, foreign })),
);

afterAll(endSpareProcesses);

describe('the scenarios', () => {
  it('bring somebody to every step that the code has', () => {
    expect(new Set(scenarios.flatMap((scenario) => scenario.steps))).toEqual(new Set(steps));
  });
});

describe.each(scenarios)('a $role that $title', (scenario) => {
  const cases = variants.flatMap((variant) =>
    scenario.steps
      .filter((step) => scenario.onlyIf?.(variant, step) ?? true)
      .map((step) => ({ step, variant, title: `${variant.permits}${variant.foreign ? ', foreign' : ''}` })),
  );

  let standing: Standing;
  beforeAll(() => void (standing = new Standing()));
  afterAll(() => standing.cleanUp());

  it.each(cases)('and is killed at $step leaves all permits to others ($title)', async ({ step, variant }) => {
    const stage = new PlayedStage(variant, standing);
    await scenario.play(stage, step);
    const gap = scenario.gap?.(variant, step) ?? gapAt(variant, step);
    await stage.expectPermits(variant.permits - gap);
  });

  it('leaves no files behind when all others have gone', async () => {
    await standing.leave();
    expect(standing.rooms.flatMap((room) => room.files())).toEqual([]);
  });
});

describe('the same kill with a plain named semaphore', () => {
  it('leaves a holder’s permit lost for ever', async () => {
    const room = new Room();
    const name = room.posixName();
    const [victim, other] = [room.process(), room.process()];
    for (const each of [victim, other]) await each.call('semOpen', name, 1);
    expect(await victim.call('semTryWait', 0)).toBe(true);
    await victim.kill();

    for (let tries = 0; tries < 20; tries++) expect(await other.call('semTryWait', 0)).toBe(false);
    expect(await other.semValue(name)).toBe(0);
  });
});

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
  readonly #standing: Standing;
  #witness: Witness | undefined;

  constructor(variant: Variant, standing: Standing) {
    this.variant = variant;
    this.#standing = standing;
    this.room = standing.room();
    const { permits, foreign } = variant;
    const posixName = foreign ? this.room.posixName() : '';
    this.lock = { namespace: this.room.namespace, name: 'lock', permits, foreign, posixName };
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

  /** After the death: so many permits, not one more, had by who was there and by who comes. */
  async expectPermits(expected: number): Promise<void> {
    const { room, lock } = this;
    const { newcomer } = this.#standing;
    const { process, grants } = this.#witness ?? { process: newcomer, grants: [] };
    const had = [...grants];
    if (expected > had.length) {
      // The first try after the death. It is given time for a machine that has other things to do, but no second one.
      const { grant, tries, ms } = await process.call<{ grant: Grant | null; tries: number; ms: number }>(
        'tryFor',
        lock,
        0,
      );
      expect(grant, 'the first try').not.toBeNull();
      expect(tries).toBe(1);
      expect(ms).toBeLessThan(100);
      had.push(grant!);
    }
    had.push(...(await process.take(lock, expected - had.length)));
    expect(await process.tryAcquire(lock), 'one more than there are').toBeNull();
    await process.releaseAll(lock, had);

    expect(await newcomer.count(lock)).toBe(expected);
    expect(await newcomer.semValue(lock.posixName || room.semaphoreName())).toBe(expected);
    const missing = this.variant.permits - expected;
    expect(await newcomer.query(room.namespace)).toMatchObject(
      missing === 0 ? [] : [{ name: lock.name, permits: lock.permits, missing, holders: [] }],
    );
  }
}
