// Uploads of tus-node-server: a new request asks the previous one to let go, also across processes. What tus-node-server
// tests of its own locker is tested here, too.

import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { tusLocker } from '../../../src/tus/index.js';
import { scratchNamespace } from '../../support/shm.js';
import { start } from '../cli/semlock.js';

const HOLDER = fileURLToPath(new URL('tus.mjs', import.meta.url));
const never = new AbortController().signal;

it('the holder is asked to let go, and the upload changes hands', async () => {
  const locker = tusLocker({ namespace: scratchNamespace() });
  const [first, second] = [locker.newLock('a'), locker.newLock('a')];
  const asked: string[] = [];
  await first.lock(never, async () => {
    asked.push('first');
    await first.unlock();
  });
  await second.lock(never, () => void asked.push('second'));
  expect(asked).toEqual(['first']);
  await second.unlock();
  await first.lock(never, () => undefined);
  await first.unlock();
});

it('a holder in another process is asked, too', async () => {
  const namespace = scratchNamespace();
  const holder = start('env', [`SEMLOCK_NAMESPACE=${namespace}`, process.execPath, HOLDER, 'upload']);
  await holder.says('locked');
  const lock = tusLocker({ namespace }).newLock('upload');
  await lock.lock(never, () => undefined);
  await holder.says('asked');
  await lock.unlock();
});

it('a holder may let go later, and is asked again until then', async () => {
  const locker = tusLocker({ namespace: scratchNamespace() });
  const [first, second] = [locker.newLock('a'), locker.newLock('a')];
  let asked = 0;
  await first.lock(never, async () => {
    asked += 1;
    if (asked === 3) await first.unlock();
  });
  let askedSecond = 0;
  await second.lock(never, () => void (askedSecond += 1));
  expect([asked, askedSecond]).toEqual([3, 0]);
  await second.unlock();
});

it('a holder keeps the upload when a request that it was asked by gives up', async () => {
  const locker = tusLocker({ namespace: scratchNamespace() });
  const [first, second] = [locker.newLock('a'), locker.newLock('a')];
  const leaving = new AbortController();
  let asked = 0;
  await first.lock(never, () => {
    asked += 1;
    if (asked === 2) leaving.abort();
  });
  await expect(second.lock(leaving.signal, () => undefined)).rejects.toMatchObject({ status_code: 500 });
  await expect(second.unlock()).rejects.toThrow('not locked');
  await first.unlock();
});

it('uploads of different ids do not exclude each other', async () => {
  const locker = tusLocker({ namespace: scratchNamespace() });
  const both = [locker.newLock('a'), locker.newLock('b')];
  await Promise.all(both.map((lock) => lock.lock(never, () => undefined)));
  await Promise.all(both.map((lock) => lock.unlock()));
});

it('a request gives up when its time is over, or its client has left', async () => {
  const locker = tusLocker({ namespace: scratchNamespace(), acquireTimeoutMs: 50 });
  const holder = locker.newLock('a');
  await holder.lock(never, () => undefined); // does not let go
  const inUse = { status_code: 500, body: 'failed to acquire lock before timeout' };
  await expect(
    holder.lock(never, () => undefined),
    'also by the same object',
  ).rejects.toMatchObject(inUse);
  await expect(locker.newLock('a').lock(never, () => undefined)).rejects.toMatchObject(inUse);
  const leaving = new AbortController();
  const pending = locker.newLock('a').lock(leaving.signal, () => undefined);
  leaving.abort();
  await expect(pending).rejects.toMatchObject(inUse);
  const late = locker.newLock('b').lock(leaving.signal, () => undefined);
  await expect(late, 'also of a free upload').rejects.toMatchObject(inUse);
  await holder.unlock();
  await expect(holder.unlock()).rejects.toThrow('not locked');
});

it('an unknown option is refused', () => {
  expect(() => tusLocker({ timeout: 5 } as never)).toThrow(expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }));
});
