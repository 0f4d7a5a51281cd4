// A process is killed at a numbered step of the protocol, in every role in which it comes to that step. Whatever it was
// about, the others have all permits afterwards, and not one more.

import { createRequire } from 'node:module';

import { afterAll, describe, expect, it } from 'vitest';

import { FAULT_ADDON, type Grant, type LockDescription } from '../support/lock-process.js';
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

  it.each(cases)('and is killed at $step leaves all permits to others ($title)', async ({ step, variant }) => {
    const stage = new PlayedStage(variant);
    await scenario.play(stage, step);
    const gap = scenario.gap?.(variant, step) ?? gapAt(variant, step);
    await stage.expectPermits(variant.permits - gap);
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

class PlayedStage implements Stage {
  readonly room = new Room();
  readonly lock: LockDescription;
  readonly variant: Variant;
  #witness: Witness | undefined;

  constructor(variant: Variant) {
    this.variant = variant;
    const { permits, foreign } = variant;
    const posixName = foreign ? this.room.posixName() : '';
    this.lock = { namespace: this.room.namespace, name: 'lock', permits, foreign, posixName };
  }

  async witness(): Promise<Witness> {
    const process = await this.user();
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
    const { process, grants } = this.#witness ?? { process: room.process(), grants: [] as Grant[] };
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

    const next = room.process();
    expect(await next.count(lock)).toBe(expected);
    expect(await next.semValue(lock.posixName || (await this.semaphoreName()))).toBe(expected);
    const missing = this.variant.permits - expected;
    expect(await next.query(room.namespace)).toEqual(
      missing === 0 ? [] : [{ name: lock.name, permits: lock.permits, missing, holders: [] }],
    );

    await room.everybodyLeaves();
    expect(room.files(), 'what is left when the last one has left').toEqual([]);
  }

  async semaphoreName(): Promise<string> {
    const [file] = this.room.files().filter((path) => path.startsWith('/dev/shm/sem.'));
    return await Promise.resolve(file!.replace('/dev/shm/sem.', '/'));
  }
}
