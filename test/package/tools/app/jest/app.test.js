const { Lock } = require('semlock');

test('waits are granted', async () => {
  const lock = new Lock(`ledger ${process.pid}`);
  const first = lock.tryAcquire();
  setTimeout(() => first.release(), 10);
  expect((await lock.acquire({ timeoutMs: 10_000 })).release()).toBe(true);
});

test('two copies after jest.resetModules() each tell their waits', async () => {
  const name = `reset ${process.pid}`;
  const held = new Lock(name).tryAcquire();
  const wait = new Lock(name).acquire({ timeoutMs: 10_000 });
  jest.resetModules();
  const again = require('semlock');
  expect(again.Lock).not.toBe(Lock);
  const waitOfCopy = new again.Lock(name).acquire({ timeoutMs: 10_000 });
  held.release();
  (await wait).release();
  (await waitOfCopy).release();
});

test('waits end under fake timers', async () => {
  jest.useFakeTimers();
  const lock = new Lock(`fake ${process.pid}`);
  const held = lock.tryAcquire();
  await expect(lock.acquire({ timeoutMs: 20 })).rejects.toMatchObject({ code: 'ERR_SEMLOCK_TIMEOUT' });
  const wait = lock.acquire({ timeoutMs: 10_000 });
  held.release();
  (await wait).release();
});
