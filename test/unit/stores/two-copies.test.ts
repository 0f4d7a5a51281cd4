// The module can be evaluated several times over the one addon of a thread: after jest.resetModules(), in two bundles.

import { expect, it, vi } from 'vitest';

import { scratchNamespace } from '../../support/shm.js';

/** A copy of all modules. */
async function copy() {
  vi.resetModules();
  return await import('../../../src/lock.js');
}

it('each copy of the module is told of its grants, and one that waits no more leaves the other waiting', async () => {
  const namespace = scratchNamespace();
  const [one, two] = [await copy(), await copy()];
  expect(one.Lock).not.toBe(two.Lock);
  const [first, second] = [new one.Lock('x', { namespace }), new two.Lock('x', { namespace })];
  const held = await first.acquire();
  const waits = [first.acquire({ timeoutMs: 10_000 }), second.acquire({ timeoutMs: 10_000 })];
  held.release();
  for (const wait of waits) (await wait).release();

  // The first one subscribed for both.
  const again = second.tryAcquire()!;
  const wait = first.acquire({ timeoutMs: 10_000 });
  again.release();
  (await wait).release();
});
