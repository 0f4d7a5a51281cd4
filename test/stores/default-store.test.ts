// One line changes the store of a whole app, before the first lock is used and never after.

import { expect, it } from 'vitest';

import { setDefaultStore } from '../../src/default-store.js';
import { Lock } from '../../src/lock.js';
import { memoryStore } from '../../src/stores/memory/memory-store.js';
import { processStore } from '../../src/stores/process/process-store.js';
import { locks } from '../../src/web-locks/lock-manager.js';

// As modules do that an app imports before it can say anything.
const lock = new Lock('file', { namespace: 'test' });

it('is that of locks that were made before, and is chosen once', async () => {
  const wrong = expect.objectContaining({ code: 'ERR_SEMLOCK_OPTION' }) as Error;
  for (const none of [undefined, null, {}, { open: () => undefined }]) {
    expect(() => setDefaultStore(none as never)).toThrow(wrong);
  }
  const store = memoryStore();
  setDefaultStore(store);
  setDefaultStore(store); // says nothing new
  using hold = lock.tryAcquire() as Disposable & { token: number };
  expect(new Lock('file', { namespace: 'test', store }).tryAcquire()).toBeNull();
  expect(new Lock('file', { namespace: 'test', store: processStore }).tryAcquire()?.release()).toBe(true);
  expect((await locks.query({ namespace: 'test' })).held).toMatchObject([{ name: 'file', token: hold.token }]);

  const late = expect.objectContaining({ code: 'ERR_SEMLOCK_STORE' }) as Error;
  expect(() => setDefaultStore(memoryStore())).toThrow(late);
  expect(() => setDefaultStore(processStore)).toThrow(late);
});
