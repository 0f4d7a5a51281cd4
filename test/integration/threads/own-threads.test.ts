// The threads that semlock has beside those of Node.js: as many as there is something to do for, and none that stays for
// nothing. Counted in a process that does nothing else.

import { expect, it } from 'vitest';

import { runModule } from '../../support/run-program.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { scratchNamespace } from '../../support/shm.js';

const COUNT = `
  import { readdirSync, readFileSync } from 'node:fs';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { Lock } from 'semlock';

  const arguments_ = process.argv.slice(1);
  /** How many threads of this process are called 'semlock'. */
  const ownThreads = () => readdirSync('/proc/self/task').filter((thread) => {
    try {
      return readFileSync('/proc/self/task/' + thread + '/comm', 'utf8').trim() === 'semlock';
    } catch {
      return false; // it has just ended
    }
  }).length;
  /** How many are left, once they are so few. */
  async function fewerThan(count) {
    for (const end = Date.now() + 30_000; ownThreads() >= count && Date.now() < end;) await sleep(50);
    return ownThreads();
  }
  /** How many there are while something waits. */
  async function waitOnce(lock) {
    const held = lock.tryAcquire();
    const waiting = lock.acquire();
    const threads = ownThreads();
    held.release();
    (await waiting).release();
    return threads;
  }
`;

function run(program: string, ...args: string[]): unknown {
  const { stdout, stderr } = runModule(COUNT + program, args);
  return stdout === '' ? stderr : (JSON.parse(stdout) as unknown);
}

it('a thread that looked after waits ends when there are none, and is made again for the next', () => {
  const counts = run(
    `const lock = new Lock('waited for', { namespace: arguments_[0] });
     const counts = [];
     for (let times = 0; times < 2; times++) counts.push(await waitOnce(lock), await fewerThan(1));
     console.log(JSON.stringify(counts));`,
    scratchNamespace(),
  );
  expect(counts).toEqual([1, 0, 1, 0]);
});

it('all locks with a posixName have one thread together, and others only while something waits', () => {
  const counts = run(
    `const shared = arguments_.map((posixName) => new Lock(posixName, { posixName }));
     for (const each of shared) each.tryAcquire().release();
     const counts = [ownThreads()];
     for (const each of shared) await waitOnce(each);
     counts.push(await fewerThan(2));
     console.log(JSON.stringify(counts));`,
    ...Array.from({ length: 5 }, () => scratchSemaphore()),
  );
  expect(counts).toEqual([1, 1]);
});
