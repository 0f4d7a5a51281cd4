import { expect, test } from '@jest/globals';
import { Lock, type Held } from 'semlock';

test('a typed test waits', async () => {
  const lock = new Lock(`typed ${process.pid}`);
  const first: Held = lock.tryAcquire()!;
  setTimeout(() => first.release(), 10);
  const second = await lock.acquire({ timeoutMs: 10_000 });
  expect(second.release()).toBe(true);
});
