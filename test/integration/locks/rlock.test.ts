// A reentrant lock between processes: each process has an owner of its own.

import { expect, it } from 'vitest';

import { RLock } from '../../../src/reentrant-lock.js';
import { startHolder } from '../../support/holder.js';
import { startProbe } from '../../support/probe.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const { isHeld } = await startProbe(namespace);

it('is held for other processes from the first hold to the last', async () => {
  const lock = new RLock('ledger', { namespace });
  await lock.run(async (first) => {
    const second = await lock.acquire();
    first.release();
    expect(await isHeld('ledger')).toBe(true);
    second.release();
    expect(await isHeld('ledger')).toBe(false);
  });

  const [first, second] = [lock.tryAcquire()!, lock.tryAcquire()!];
  first.release();
  expect(await isHeld('ledger')).toBe(true);
  second.release();
  expect(await isHeld('ledger')).toBe(false);
});

it('is not taken again while another process holds it, and passes on when that dies', async () => {
  const lock = new RLock('report', { namespace });
  const holder = await startHolder('report', { namespace });
  expect(lock.tryAcquire()).toBeNull();
  const work = lock.run((outer) => lock.run((inner) => [outer.abandoned, inner.abandoned]));
  await holder.die();
  expect(await work).toEqual([true, true]);
});
