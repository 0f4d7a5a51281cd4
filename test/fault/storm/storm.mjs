// The storm: processes that acquire and release without end, of which one that holds something is killed at random and
// replaced, again and again. An oracle of its own in shared memory counts how often two held what one may hold.

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { contenders } from './contenders.mjs';

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url));
const oracle = createRequire(import.meta.url)('../addon/build/Release/hold_oracle.node');

/** A lock that nobody could have for so long is stuck; a loaded machine is given its time. */
const STUCK_MS = 5000;

/**
 * @typedef {object} Report
 * @property {number} kills how many holders were killed
 * @property {number} entered how often a lock was had
 * @property {number} doubleHolds how often one more held than may
 * @property {string[]} stuck the locks that nobody could have for STUCK_MS
 * @property {Record<string, number>} wrongPermits at the end: the locks of which not all permits could be had, or more
 * @property {string[]} failures what processes ended with that were not killed
 */

/**
 * @param {object} options
 * @param {'table' | 'semaphore' | 'none'} options.kind locks of the lock table; plain named semaphores; or no lock at all
 * @param {number} options.seconds for how long; shorter when everything is stuck
 * @param {number} [options.processes]
 * @returns {Promise<Report>}
 */
export async function storm({ kind, seconds, processes = 6 }) {
  const namespace = `storm-${randomUUID()}`;
  const locks = contenders(kind, namespace);
  const oraclePath = join(tmpdir(), `semlock-${namespace}`);
  oracle.open(oraclePath);

  const report = { kills: 0, entered: 0, doubleHolds: 0, stuck: [], wrongPermits: {}, failures: [] };
  const workers = new Set();
  const startWorker = () => {
    const worker = fork(WORKER, [kind, namespace, oraclePath], { execArgv: [] });
    workers.add(worker);
    worker.once('exit', (code, signal) => {
      workers.delete(worker);
      if (signal !== 'SIGKILL' && code !== 0) report.failures.push(`a worker ended with ${code ?? signal}`);
    });
    return worker;
  };
  const progress = new Progress(locks);
  try {
    for (let started = 0; started < processes; started++) startWorker();
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      await sleep(Math.random() * 40);
      // Who holds one at this moment; somebody at random where nobody does.
      const held = locks[Math.floor(Math.random() * locks.length)];
      const pids = oracle.holders(held.number);
      const all = [...workers];
      const victim = all.find(({ pid }) => pids.includes(pid)) ?? all[Math.floor(Math.random() * all.length)];
      victim.kill('SIGKILL');
      report.kills++;
      await once(victim, 'exit');
      startWorker();
      report.stuck = progress.stuck();
      if (report.stuck.length === locks.length) break;
    }
    for (const worker of workers) if (worker.connected) worker.send('end');
    await Promise.all([...workers].map((worker) => once(worker, 'exit')));

    for (const lock of locks) {
      report.entered += oracle.entered(lock.number);
      report.doubleHolds += oracle.excess(lock.number);
      const had = lock.takeAll();
      if (had !== lock.permits) report.wrongPermits[lock.name] = had;
    }
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
    for (const lock of locks) lock.unlink();
    rmSync(oraclePath, { force: true });
  }
  return report;
}

/** Which locks have been entered lately. */
class Progress {
  #locks;
  #seen;
  constructor(locks) {
    this.#locks = locks;
    this.#seen = locks.map(() => ({ entered: 0, at: performance.now() }));
  }
  stuck() {
    const now = performance.now();
    return this.#locks
      .filter(({ number }, index) => {
        const seen = this.#seen[index];
        const entered = oracle.entered(number);
        if (entered !== seen.entered) this.#seen[index] = { entered, at: now };
        return now - this.#seen[index].at > STUCK_MS;
      })
      .map(({ name }) => name);
  }
}
