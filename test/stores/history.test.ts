// Clients that take, wait, give up, read, write and steal without a plan, on every store; what they wrote down is checked.

import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import type { Hold } from '../../src/hold.js';
import { Lock } from '../../src/lock.js';
import { Semaphore } from '../../src/semaphore.js';
import type { LockStore } from '../../src/store.js';
import { memoryStore } from '../../src/stores/memory/memory-store.js';
import { processStore } from '../../src/stores/process/process-store.js';
import { check } from '../support/history/check.js';
import { now, Recorder } from '../support/history/recorder.js';
import { steal } from '../support/steal.js';

const stores: LockStore[] = [processStore, memoryStore()];
const chance = (probability: number) => Math.random() < probability;

describe.each(stores)('Of the store $name', (store) => {
  it.each([
    { what: 'readers, writers and thieves', permits: 1 },
    { what: 'a semaphore', permits: 3 },
  ])('a run is right: $what', async ({ permits }) => {
    const namespace = randomUUID();
    const lock =
      permits === 1 ? new Lock('file', { namespace, store }) : new Semaphore('file', { namespace, permits, store });
    const recorder = new Recorder();
    const register = { value: 0, token: 0 };

    const client = async (name: string): Promise<void> => {
      for (let round = 0; round < 40; round += 1) {
        const mode = permits === 1 && chance(0.5) ? 'shared' : 'exclusive';
        const steals = permits === 1 && mode === 'exclusive' && chance(0.1);
        await recorder.use(
          name,
          'file',
          mode,
          () => ask(mode, steals),
          async (entry) => {
            if (steals) entry.stole = true;
            if (mode === 'shared' || permits > 1) {
              await sleep(Math.random());
              return;
            }
            if (entry.token! < register.token) return; // the register refuses whoever comes late
            register.token = entry.token!;
            const read = register.value;
            await sleep(Math.random());
            if (entry.token! < register.token) return;
            register.value = read + 1;
            Object.assign(entry, { read, wrote: read + 1 });
          },
        );
      }
    };
    const ask = (mode: 'exclusive' | 'shared', steals: boolean): Promise<Hold | null> => {
      if (steals) return steal(lock);
      if (chance(0.3)) return lock.acquire({ mode, ifAvailable: true });
      const signal = chance(0.3) ? AbortSignal.timeout(Math.ceil(Math.random() * 4)) : undefined;
      return lock.acquire({ mode, signal, ...(chance(0.3) ? { timeoutMs: Math.ceil(Math.random() * 4) } : {}) });
    };
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(client));

    const { history } = recorder;
    expect(check(history, { permits, end: now() })).toEqual([]);
    expect(history.filter(({ got }) => got !== undefined).length).toBeGreaterThan(50);
    expect(lock.available).toBe(permits);
  });
});
