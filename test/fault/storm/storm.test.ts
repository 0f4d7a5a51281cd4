// The storm, in short; `npm run test:storm` runs it for a minute, or for `SEMLOCK_STORM_SECONDS`.

import { describe, expect, it } from 'vitest';

import { check } from '../../support/history/check.js';
import { storm } from './storm.mjs';

const SECONDS = Number(process.env['SEMLOCK_STORM_SECONDS'] ?? 20);

describe('a storm of processes of which those that hold or wait are killed at random', () => {
  it(
    'never gives a permit twice, gets stuck or loses a permit, on the lock table',
    async () => {
      const { kills, happened, histories, ...wrong } = await storm({ kind: 'table', seconds: SECONDS });
      console.log({ kills, happened });

      expect(wrong).toEqual({
        doubleHolds: [],
        mixedHolds: [],
        stuck: [],
        wrongPermits: [],
        leftBehind: [],
        failures: [],
      });
      for (const { entries, ...rules } of histories) {
        expect(entries.length).toBeGreaterThan(0);
        expect(check(entries, rules)).toEqual([]);
      }
      // On a machine with much else to do; otherwise it is a hundred times that.
      for (const count of Object.values({ ...kills, ...happened })) expect(count).toBeGreaterThan(0);
      expect(happened.waited + happened.blocked).toBeGreaterThan(300);
    },
    SECONDS * 1000 + 120_000,
  );

  it('gets stuck on plain named semaphores', async () => {
    const { stuck, wrongPermits, doubleHolds } = await storm({ kind: 'semaphore', seconds: 60 });

    expect(stuck).toContain('named, 1 permit');
    expect(stuck).toContainEqual(expect.stringMatching(/ waits$/));
    expect(wrongPermits).toContain('named, 1 permit: 0');
    expect(doubleHolds).toEqual([]);
  }, 90_000);

  it('is seen to give permits twice where there is no lock', async () => {
    const { doubleHolds, mixedHolds, histories } = await storm({ kind: 'none', seconds: 2 });

    expect(doubleHolds).toEqual(expect.arrayContaining(['named, 1 permit', 'named, 3 permits', 'stolen']));
    expect(mixedHolds).toContain('named, 1 permit');
    for (const { entries, ...rules } of histories) {
      expect(check(entries, rules)).toContainEqual(expect.stringContaining('together'));
    }
  });
});
