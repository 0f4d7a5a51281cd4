// What is left when an app's last process ends, as a script does that runs alone: the news that it died with a lock in
// hand, and otherwise nothing.

import { describe, expect, it } from 'vitest';

import { runModule } from '../../support/run-program.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { filesOf, filesOfPosix, scratchNamespace } from '../../support/shm.js';

/** A program that takes the lock `report` and ends by the script `end`; it says whether the lock was abandoned. */
function holdReport(namespace: string, end: string, how = 'new Lock("report", options).tryAcquire()') {
  const { stdout, stderr } = runModule(
    `import { Lock, RLock, Semaphore, locks } from 'semlock';
    const options = { namespace: '${namespace}' };
    const held = ${how};
    console.log(held.abandoned);
    ${end}`,
  );
  return { abandoned: stdout.trim(), stderr };
}

const RELEASE = 'held.release();';

describe('a script that alone uses its locks', () => {
  it.each([
    ['throws with a lock in hand', 'throw new Error("half done");'],
    ['leaves a rejection unhandled', 'Promise.reject(new Error("half done")); setInterval(() => {}, 1000);'],
    [
      'calls process.exit() in a handler',
      'process.on("exit", () => process.exit()); setTimeout(() => process.exit(), 1);',
    ],
    ['comes to its end', ''],
    ['is killed', 'process.kill(process.pid, "SIGKILL");'],
  ])('that %s tells its next run, and that one leaves nothing', (_, end) => {
    const namespace = scratchNamespace();
    expect(holdReport(namespace, end).abandoned).toBe('false');
    expect(filesOf(namespace)).not.toEqual([]);

    expect(holdReport(namespace, RELEASE).abandoned).toBe('true');
    expect(filesOf(namespace)).toEqual([]);
    expect(holdReport(namespace, RELEASE).abandoned).toBe('false');
  });

  it.each([
    ['has a permit of several', 'new Semaphore("report", { ...options, permits: 3 }).tryAcquire()'],
    ['reads under a lock', 'new Lock("report", options).tryAcquire({ mode: "shared" })'],
    ['has waited for a lock', 'await new Lock("report", options).acquire()'],
    ['has taken a lock twice', '(lock => (lock.tryAcquire(), lock.tryAcquire()))(new RLock("report", options))'],
  ])('that %s and throws tells its next run', (_, how) => {
    const namespace = scratchNamespace();
    holdReport(namespace, 'throw new Error("half done");', how);
    expect(holdReport(namespace, RELEASE, how)).toMatchObject({ abandoned: 'true' });
  });

  it.each(['', 'posixName: name, '])(
    'that has { %spermits } is told also when it was given others between its runs',
    (semaphore) => {
      const namespace = scratchNamespace();
      const posixName = scratchSemaphore();
      const name = JSON.stringify(posixName);
      const using = (permits: number) =>
        `new Semaphore("report", { ...options, ${semaphore.replace('name', name)}permits: ${permits} }).tryAcquire()`;
      holdReport(namespace, 'throw new Error("half done");', using(3));
      expect(holdReport(namespace, RELEASE, using(2))).toMatchObject({ abandoned: 'true', stderr: '' });
      expect([...filesOf(namespace), ...filesOfPosix(posixName)]).toEqual([]);
    },
  );

  it('that calls process.exit() while a worker thread has the lock tells its next run', () => {
    const namespace = scratchNamespace();
    runModule(`
      import { Worker } from 'node:worker_threads';
      const source = \`
        import { parentPort } from 'node:worker_threads';
        import { Lock } from '\${import.meta.resolve('semlock')}';
        new Lock('report', { namespace: '${namespace}' }).tryAcquire();
        parentPort.postMessage('held');
        setInterval(() => {}, 1000);
      \`;
      new Worker(new URL('data:text/javascript,' + encodeURIComponent(source))).once('message', () => process.exit());
    `);
    expect(holdReport(namespace, RELEASE).abandoned).toBe('true');
  });

  it('that throws after the release leaves nothing, and tells nothing', () => {
    const namespace = scratchNamespace();
    const { stderr } = holdReport(namespace, `${RELEASE} throw new Error("all done");`);
    expect(stderr).toContain('all done');
    expect(filesOf(namespace)).toEqual([]);
    expect(holdReport(namespace, RELEASE).abandoned).toBe('false');
  });

  it('that throws in a callback of locks.request(), which releases what it has, leaves nothing', () => {
    const namespace = scratchNamespace();
    const { stderr } = runModule(
      `import { createLocks } from 'semlock';
      await createLocks({ namespace: '${namespace}' }).request('report', () => { throw new Error('released'); });`,
    );
    expect(stderr).toContain('released');
    expect(filesOf(namespace)).toEqual([]);
  });

  it('that has thrown holds nothing any more, as far as others see', () => {
    const namespace = scratchNamespace();
    holdReport(namespace, 'throw new Error("half done");');
    const look = `import { locks } from 'semlock';
      console.log(JSON.stringify(await locks.query({ namespace: '${namespace}' })));`;
    expect(JSON.parse(runModule(look).stdout)).toEqual({ held: [], pending: [], gaps: [] });
    expect(filesOf(namespace), 'who looks changes nothing').not.toEqual([]);
  });
});
