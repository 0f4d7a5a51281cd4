// Who ends while it waits for a lock ends at once, however it waits: nothing holds up the end, and nothing stays behind.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { describe, expect, it, onTestFinished } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { locks } from '../../../src/web-locks/lock-manager.js';
import { runModule } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';

const PROGRAM = fileURLToPath(new URL('pending-waits.mjs', import.meta.url));

/** Runs it while this process holds its lock: its exit code, how long its end took, and what else it said. */
async function endWhileWaiting(wait: string, ending: string) {
  const namespace = scratchNamespace();
  const lock = new Lock('held', { namespace });
  const held = lock.tryAcquire()!;
  const child = spawn(process.execPath, [PROGRAM, namespace, wait, ending], { stdio: ['pipe', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const lines: string[] = [];
  const output = createInterface(child.stdout).on('line', (line) => lines.push(line));
  await once(output, 'line');
  expect((await locks.query({ namespace })).pending, 'it waits').not.toEqual([]);
  const start = performance.now();
  child.stdin.write('end');
  const [code] = await exit;
  const tookMs = performance.now() - start;
  expect((await locks.query({ namespace })).pending).toEqual([]);
  held.release();
  expect(lock.tryAcquire()?.release(), 'for others').toBe(true);
  return { code, tookMs, lines };
}

describe.each(['acquire', 'request', 'acquire in a thread', 'acquireSync in a thread'])(
  'a process with pending waits (%s)',
  (wait) => {
    it.each([
      ['process.exit()', 7],
      ['an uncaught exception', 1],
    ])('ends at once on %s with %i', async (ending, expected) => {
      const { code, tookMs } = await endWhileWaiting(wait, ending);
      expect(code).toBe(expected);
      expect(tookMs).toBeLessThan(2_000);
    });
  },
);

it.each(['acquire in a thread', 'acquireSync in a thread'])(
  'a thread with pending waits (%s) ends at once on worker.terminate(), while its process goes on',
  async (wait) => {
    const { code, tookMs, lines } = await endWhileWaiting(wait, 'worker.terminate()');
    expect(lines).toEqual(['waits', '{"code":1,"pending":0}']);
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(2_000);
  },
);

describe('a process that has used locks', () => {
  const run = (source: string, namespace: string) =>
    runModule(
      `import { Lock, locks } from 'semlock';
       const [namespace] = process.argv.slice(1);
       const lock = new Lock('x', { namespace });
       ${source}`,
      [namespace],
    );

  it('ends by itself when it waits for nothing any more', () => {
    const ended = run(
      `const held = lock.tryAcquire();
       await lock.acquire({ timeoutMs: 10 }).catch(() => {});
       const next = lock.acquire();
       held.release();
       console.log((await next).signal.aborted);`,
      scratchNamespace(),
    );
    expect(ended).toMatchObject({ status: 0, stdout: 'false\n', stderr: '' });
  });

  it('stays as long as it waits, though nothing else keeps it', () => {
    const ended = run(
      `const held = lock.tryAcquire();
       setTimeout(() => held.release(), 100).unref();
       console.log((await lock.acquire()).release());`,
      scratchNamespace(),
    );
    expect(ended).toMatchObject({ status: 0, stdout: 'true\n', stderr: '' });
  });
});
