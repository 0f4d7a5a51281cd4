// The storm, in short; `npm run test:storm` runs it for longer.

import { describe, expect, it } from 'vitest';

import { storm } from './storm.mjs';

describe('a storm of processes of which holders are killed at random', () => {
  it('never gives a permit twice, gets stuck or loses a permit, on the lock table', async () => {
    const report = await storm({ kind: 'table', seconds: 20 });

    expect(report).toMatchObject({ doubleHolds: 0, stuck: [], wrongPermits: {}, failures: [] });
    expect(report.kills).toBeGreaterThan(20);
    expect(report.entered).toBeGreaterThan(1000);
  }, 60_000);

  it('gets stuck on plain named semaphores', async () => {
    const report = await storm({ kind: 'semaphore', seconds: 60 });

    expect(report.stuck.length).toBeGreaterThan(0);
    expect(Object.values(report.wrongPermits)).toContain(0);
    expect(report.doubleHolds).toBe(0);
  }, 90_000);

  it('is seen to give permits twice where there is no lock', async () => {
    const report = await storm({ kind: 'none', seconds: 3 });

    expect(report.doubleHolds).toBeGreaterThan(0);
  });
});
