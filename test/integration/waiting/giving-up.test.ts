// What becomes of a permit that is granted to a wait at the moment it is given up, and of a wait that cannot succeed.

import { expect, it } from 'vitest';

import { Lock, Semaphore } from '../../../dist/index.js';
import { startHolder } from '../../support/holder.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();

/** The event loop stands still, so that it does not learn of what it is granted meanwhile. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

it.each([
  ['dies', true],
  ['releases it', false],
])('a permit that comes too late goes to the next one, who is told whether its holder %s', async (_how, dies) => {
  const holder = dies ? await startHolder('a', { namespace }) : undefined;
  const lock = new Lock('a', { namespace });
  const held = lock.tryAcquire();
  const controller = new AbortController();
  const ended = expect(lock.acquire({ signal: controller.signal })).rejects.toThrow('enough');

  held?.release();
  const gone = holder?.die();
  block(300); // in which the wait is granted the permit
  controller.abort(new Error('enough'));
  await ended;
  await gone;

  const next = await lock.acquire({ timeoutMs: 5_000 });
  expect(next.abandoned).toBe(dies);
  next.release();
  expect(lock.available).toBe(1);
});

it('a wait that turns out to be impossible fails with a SemlockError, and holds up nobody behind it', async () => {
  const lock = new Lock('b', { namespace });
  const held = lock.tryAcquire();
  const before = lock.acquire();
  const impossible = new Semaphore('b', { namespace, permits: 2 }).acquire();
  const behind = lock.acquire();
  const failed = expect(impossible).rejects.toMatchObject({ name: 'SemlockError', code: 'ERR_SEMLOCK_MISMATCH' });

  held?.release();
  (await before).release();
  await failed;
  expect((await behind).release()).toBe(true);
});
