// People develop on other systems than they deploy to. There the package is imported, and what needs its engine says so
// when it is used, and what to take instead.

import { expect, it } from 'vitest';

import { runModule } from '../../support/run-program.js';

it.each(['darwin', 'win32'])('on %s all but the locks of this machine work', (platform) => {
  const { stdout, stderr } = runModule(
    `Object.defineProperty(process, 'platform', { value: process.argv[1] });
     const { Lock, Semaphore, NamedSemaphore, fileLock, locks, memoryStore } = await import('semlock');
     const codes = [];
     const lock = new Lock('file', { namespace: 'test' });
     const uses = [
       () => lock.tryAcquire(),
       () => lock.acquire(),
       () => new Semaphore('file', { namespace: 'test', permits: 2 }).available,
       () => locks.request('file', () => undefined),
       () => NamedSemaphore.create('/file'),
     ];
     for (const use of uses) {
       try { await use(); codes.push('none'); } catch (error) { codes.push(error.code); console.error(error.message); }
     }
     fileLock('file');
     const store = memoryStore();
     codes.push(new Lock('file', { namespace: 'test', store }).tryAcquire().release());
     console.log(JSON.stringify(codes));`,
    [platform],
  );
  const code = 'ERR_SEMLOCK_PLATFORM';
  expect(JSON.parse(stdout)).toEqual([code, code, code, code, code, true]);
  expect(stderr).toContain(`this is ${platform}`);
  expect(stderr).toContain('memoryStore()');
});
