// A scheduled job that all machines start at one time runs once, though their clocks differ.

import { setTimeout as sleep } from 'node:timers/promises';

import { Cron } from 'croner';
import nodeCron from 'node-cron';
import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { memoryStore } from '../../../src/stores/memory/memory-store.js';
import { runModule } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';

const memoryLock = () => new Lock('job', { namespace: 'test', store: memoryStore() });

describe('run() with ifAvailable', () => {
  it('gives what the work gives, or undefined where the lock is not free, and does not wait', async () => {
    const lock = memoryLock();
    const held = lock.tryAcquire()!;
    let ran = false;
    expect(await lock.run(() => (ran = true), { ifAvailable: true })).toBeUndefined();
    expect(ran).toBe(false);
    held.release();
    expect(await lock.run(() => 'ran', { ifAvailable: true })).toBe('ran');
  });
});

describe('run() with atLeastMs', () => {
  it('keeps the lock for that time, and lets its caller go on', async () => {
    const lock = memoryLock();
    const beginning = performance.now();
    expect(await lock.run(() => 'done', { atLeastMs: 200 })).toBe('done');
    expect(performance.now() - beginning).toBeLessThan(150);
    expect(lock.available).toBe(0);
    (await lock.acquire()).release();
    expect(performance.now() - beginning).toBeGreaterThanOrEqual(199);
  });

  it('keeps it after work that failed, and no longer for work that takes longer', async () => {
    const lock = memoryLock();
    await expect(lock.run(() => Promise.reject(new RangeError('broken')), { atLeastMs: 50 })).rejects.toThrow('broken');
    expect(lock.available).toBe(0);
    await lock.run(() => sleep(20), { atLeastMs: 5 });
    expect(lock.available).toBe(1);
  });

  it.each([
    ['ends by itself', '', 300],
    ['exits', 'process.exit();', 0],
  ])('of a process that then %s, ends the lock properly', (_how, end, least) => {
    const namespace = scratchNamespace();
    const beginning = performance.now();
    const { status } = runModule(`
      import { Lock } from 'semlock';
      await new Lock('job', { namespace: '${namespace}' }).run(() => undefined, { atLeastMs: 300 });
      ${end}
    `);
    expect(status).toBe(0);
    expect(performance.now() - beginning).toBeGreaterThan(least);
    const next = new Lock('job', { namespace }).tryAcquire();
    expect(next?.abandoned).toBe(false);
    next?.release();
  });
});

describe('A job that two machines start every second, one of them 200 ms late,', () => {
  const schedulers: Record<string, (job: () => Promise<void>) => () => unknown> = {
    croner: (job) => {
      const cron = new Cron('* * * * * *', job);
      return () => cron.stop();
    },
    'node-cron': (job) => {
      const task = nodeCron.schedule('* * * * * *', job);
      return () => task.destroy();
    },
  };

  /** The runs of two seconds. */
  async function runsOf(scheduler: string, atLeastMs: number): Promise<string[]> {
    const namespace = scratchNamespace();
    const runs: string[] = [];
    const machine = (name: string, lateMs: number) => {
      const lock = new Lock('job', { namespace });
      return schedulers[scheduler]!(async () => {
        await sleep(lateMs);
        await lock.run(() => runs.push(name), { ifAvailable: true, atLeastMs });
      });
    };
    const stops = [machine('one', 0), machine('two', 200)];
    onTestFinished(() => stops.forEach((stop) => stop()));
    await expect.poll(() => runs.filter((name) => name === 'one').length, { timeout: 10_000 }).toBe(2);
    for (const stop of stops) stop();
    await sleep(300);
    return runs;
  }

  it.each(Object.keys(schedulers))('runs once by %s', async (scheduler) => {
    expect(await runsOf(scheduler, 600)).toEqual(['one', 'one']);
  });

  it('runs twice without atLeastMs (control)', async () => {
    expect(await runsOf('croner', 0)).toContain('two');
  });
});
