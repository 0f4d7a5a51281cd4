import { Lock } from 'semlock';
import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.useRealTimers();
});

test('waits are granted', async () => {
  const lock = new Lock(`ledger ${process.pid}`);
  const first = lock.tryAcquire();
  setTimeout(() => first.release(), 10);
  expect((await lock.acquire({ timeoutMs: 10_000 })).release()).toBe(true);
});

test('a copy after vi.resetModules() waits too', async () => {
  const lock = new Lock(`reset ${process.pid}`);
  const held = lock.tryAcquire();
  vi.resetModules();
  const { Lock: Again } = await import('semlock');
  const wait = new Again(lock.name).acquire({ timeoutMs: 10_000 });
  held.release();
  (await wait).release();
});

test('waits end under fake timers', async () => {
  vi.useFakeTimers();
  const lock = new Lock(`fake ${process.pid}`);
  const held = lock.tryAcquire();
  await expect(lock.acquire({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_TIMEOUT' });
  const wait = lock.acquire({ timeoutMs: 10_000 });
  held.release();
  (await wait).release();
});
