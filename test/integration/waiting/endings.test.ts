// Programs and worker threads that end while they wait, or after it: nothing of theirs holds them up, or those behind.

import { describe, expect, it } from 'vitest';

import { runModule, type Ended } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';

/** Runs `body` in a program that holds the lock "a" from outside its own promises: nothing in it ever releases it. */
function runWhileHeld(body: string): Ended {
  return runModule(`
    import { setTimeout as sleep } from 'node:timers/promises';
    import { Worker } from 'node:worker_threads';
    import { Lock } from 'semlock';
    const namespace = '${scratchNamespace()}';
    const lock = new Lock('a', { namespace });
    const held = lock.tryAcquire();
    /** A worker thread that waits: resolves once it does. */
    const waitingWorker = async (how) => {
      const source = \`
        import { parentPort } from 'node:worker_threads';
        import { Lock } from 'semlock';
        const lock = new Lock('a', { namespace: '\${namespace}' });
        parentPort.postMessage('waits');
        \${how}
        parentPort.postMessage('granted');
      \`;
      const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source.replaceAll(
        "'semlock'", JSON.stringify(import.meta.resolve('semlock'))))));
      await new Promise((resolve) => worker.once('message', resolve));
      await sleep(50);
      return worker;
    };
    ${body}
  `);
}

it('a program that waits for a thousand locks ends at once with the code of its exit()', () => {
  const { status, signal, stderr } = runWhileHeld(`
    for (let n = 0; n < 1_000; n += 1) new Lock('lock ' + n, { namespace }).tryAcquire();
    for (let n = 0; n < 1_000; n += 1) new Lock('lock ' + n, { namespace }).acquire();
    await sleep(50);
    process.exit(7);
  `);

  expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
});

it('a program ends when it has no more waits, though it has waited and watches a lock that it holds', () => {
  const { status, stdout } = runWhileHeld(`
    held.signal.addEventListener('abort', () => console.log('stolen'));
    await lock.acquire({ timeoutMs: 20 }).catch(({ code }) => console.log(code));
  `);

  expect({ status, stdout }).toEqual({ status: 0, stdout: 'ERR_SEMLOCK_TIMEOUT\n' });
});

describe('a worker thread that waits', () => {
  it.each([
    ['with acquire()', 'await lock.acquire();'],
    ['with a hundred of them', 'for (let n = 0; n < 100; n += 1) lock.acquire(); setInterval(() => {}, 1000);'],
    ['with acquireSync()', 'lock.acquireSync();'],
  ])('%s is terminated at once, and the next one is served', (_how, wait) => {
    const { status, stdout, stderr } = runWhileHeld(`
      const worker = await waitingWorker(${JSON.stringify(wait)});
      const code = await Promise.race([worker.terminate(), sleep(5_000, 'hangs', { ref: false })]);
      const next = lock.acquire({ timeoutMs: 5_000 });
      held.release();
      const granted = await next;
      console.log(code, granted.abandoned);
      granted.release();
      console.log(lock.available);
    `);

    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '1 false\n1\n', stderr: '' });
  });

  it.each([
    ['acquire()', 'await lock.acquire();'],
    ['acquireSync()', 'lock.acquireSync();'],
  ])('with %s is not taken for a holder that died when it is terminated and granted the lock at once', (_how, wait) => {
    const { status, stdout, stderr } = runWhileHeld(`
      const worker = await waitingWorker(${JSON.stringify(wait)});
      const end = worker.terminate();
      held.release();
      await end;
      const granted = await lock.acquire({ timeoutMs: 5_000 });
      console.log(granted.abandoned, granted.release());
    `);

    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'false true\n', stderr: '' });
  });

  it('and has been granted what it does not know of yet is terminated at once, and the next one is served', () => {
    const { status, stdout } = runWhileHeld(`
      const worker = await waitingWorker(\`
        lock.acquire();
        await new Promise((resolve) => setTimeout(resolve, 20));
        parentPort.postMessage('blocks');
        for (;;) {}
      \`);
      held.release();
      await sleep(50);
      await worker.terminate();
      const granted = await lock.acquire({ timeoutMs: 5_000 });
      console.log(granted.release(), lock.available);
    `);

    expect({ status, stdout }).toEqual({ status: 0, stdout: 'true 1\n' });
  });
});
