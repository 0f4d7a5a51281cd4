// The storm: processes that try, wait, block, read, write and steal without end, of which one that holds or waits is
// killed at random and replaced, again and again, and others are stopped for a while. An oracle of its own in shared
// memory counts how often two held what one may hold, and each writes down what it had and when, for the checks of
// test/support/history.

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { snapshot } from '../../../dist/stores/process/query.js';
import { contenders } from './contenders.mjs';
import { oracle, STUCK_MS, tallies } from './oracle.mjs';

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url));

/** The roles of the threads of each process, that of its main thread first. */
const TEAMS = [['try'], ['wait'], ['block'], ['try', 'wait'], ['steal', 'wait']];
/** One that is never killed, so that its waits can be seen to end. */
const SURVIVORS = ['wait', 'block'];

/** As many live when one is killed, so that it has had the time to hold and to wait. */
const AT_WORK = 3;

/** How long somebody is stopped at most: longer than a permit lies there that is granted and not collected. */
const STOPPED_MS = 400;

/** Who has been told to end is done with its waits by then. */
const END_MS = 2 * STUCK_MS;

/**
 * @typedef {object} Report
 * @property {{ holders: number, waiters: number, others: number }} kills how many were killed, by what they did
 * @property {Record<'tried' | 'waited' | 'blocked' | 'stole' | 'timedOut' | 'aborted', number>} happened how often a lock
 * was had in which way, and how else waits ended
 * @property {string[]} doubleHolds the locks that one more held than may
 * @property {string[]} mixedHolds the locks that a reader and a writer held together
 * @property {string[]} stuck the locks that nobody had for STUCK_MS, waits that took so much longer than they were to,
 * and processes that did not end
 * @property {string[]} wrongPermits at the end: the locks of which not all permits could be had, or more
 * @property {string[]} leftBehind at the end: who is still said to hold or to wait for which lock
 * @property {string[]} failures what processes ended with that were not killed
 * @property {{ permits: number, end: number, entries: import('../../support/history/check.js').Entry[] }[]} histories of each
 * lock
 */

/**
 * @param {object} options
 * @param {'table' | 'semaphore' | 'none'} options.kind locks of the lock table; plain named semaphores; or no lock at all
 * @param {number} options.seconds for how long; shorter when everything is stuck
 * @returns {Promise<Report>}
 */
export async function storm({ kind, seconds }) {
  const namespace = `storm-${randomUUID()}`;
  const locks = contenders(kind, namespace);
  const oraclePath = join(tmpdir(), `semlock-${namespace}`);
  oracle.open(oraclePath);
  const historyPath = `${oraclePath}.history`;
  writeFileSync(historyPath, '');
  /** When each was killed, by pid. */
  const killed = new Map();
  let history;

  const kills = { holders: 0, waiters: 0, others: 0 };
  const failures = [];
  let stuck = [];
  /** With their teams. */
  const workers = new Map();
  /** Those to be killed: they have begun, since one that is killed earlier can do nobody harm. */
  const ready = new Set();
  const start = (team) => {
    const worker = fork(WORKER, [kind, namespace, oraclePath, historyPath, ...team], { execArgv: [] });
    workers.set(worker, team);
    if (team !== SURVIVORS) worker.once('message', () => ready.add(worker));
    worker.once('exit', (code, signal) => {
      workers.delete(worker);
      ready.delete(worker);
      if (signal !== 'SIGKILL' && code !== 0) failures.push(`${team.join(' + ')} ended with ${code ?? signal}`);
    });
  };
  const killAndReplace = async ({ victim, as }) => {
    const team = workers.get(victim);
    killed.set(victim.pid, now());
    victim.kill('SIGKILL');
    kills[as]++;
    await once(victim, 'exit');
    start(team);
  };
  const stopForAWhile = (worker) => {
    worker.kill('SIGSTOP');
    setTimeout(() => worker.kill('SIGCONT'), Math.random() * STOPPED_MS);
  };
  const progress = new Progress(locks);
  try {
    for (const team of [SURVIVORS, ...TEAMS]) start(team);
    for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
      await sleep(Math.random() * 100);
      if (Math.random() < 0.2) stopForAWhile(any([...workers.keys()]));
      if (ready.size >= AT_WORK) await killAndReplace(chooseVictim([...ready], locks, namespace));
      stuck = progress.stuck();
      if (stuck.length === locks.length) break;
    }
    if (stuck.length < locks.length) stuck.push(...(await endAll(workers)));
  } finally {
    const all = [...workers.keys()];
    for (const worker of all) {
      killed.set(worker.pid, now());
      worker.kill('SIGKILL');
    }
    await Promise.all(all.map((worker) => once(worker, 'exit')));
    history = readFileSync(historyPath, 'utf8');
    rmSync(oraclePath, { force: true });
    rmSync(historyPath, { force: true });
  }

  const { late, ...happened } = tallies();
  if (late > 0) stuck.push(`${late} waits`);
  const countsOf = ({ number }) => oracle.counts(number);
  const wrongPermits = locks.flatMap((lock) => {
    const had = countPermits(lock);
    return had === lock.permits ? [] : [`${lock.name}: ${had}`];
  });
  const { held, pending } = snapshot({ namespace });
  for (const lock of locks) lock.unlink();
  return {
    kills,
    happened,
    doubleHolds: locks.filter((lock) => countsOf(lock).excess > 0).map(({ name }) => name),
    mixedHolds: locks.filter((lock) => countsOf(lock).mixed > 0).map(({ name }) => name),
    stuck,
    wrongPermits,
    leftBehind: [...held, ...pending].map(({ name, pid }) => `${name}: ${pid}`),
    failures,
    histories: historiesOf(locks, history, killed),
  };
}

/**
 * What was written down, by locks. Who was killed did nothing from then on, and may have been robbed before; and who found
 * a lock lost may have lost it as soon as a thief began that was killed over it.
 */
function historiesOf(locks, history, killed) {
  const end = now();
  const entries = new Map();
  for (const line of history.split('\n').slice(0, -1)) {
    const part = JSON.parse(line);
    entries.set(part.id, { ...entries.get(part.id), ...part });
  }
  const whole = [...entries.values()].map((entry) => {
    const death = killed.get(entry.client);
    if (entry.gaveBack !== undefined || death === undefined) return entry;
    return { ...entry, gaveBack: Math.max(death, entry.got), lost: Math.max(death, entry.got) };
  });
  const lastThefts = whole.filter(({ steals, ended, client }) => steals !== undefined && !ended && killed.has(client));
  const withThefts = whole.map((entry) => {
    if (entry.lost === undefined) return entry;
    const theft = lastThefts.find(
      ({ lock, client, steals }) =>
        lock === entry.lock && client !== entry.client && steals < entry.lost && killed.get(client) > entry.got,
    );
    return theft === undefined ? entry : { ...entry, lost: Math.max(entry.got, theft.steals) };
  });
  return locks.map(({ name, permits }) => ({
    permits,
    end,
    entries: withThefts.filter(({ lock, got }) => lock === name && got !== undefined),
  }));
}

/** The clock of the workers. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** Who holds a lock at this moment, or is the first to wait for one; anybody now and then, and when nobody does. */
function chooseVictim(workers, locks, namespace) {
  const pids = {
    holders: () => locks.flatMap(({ number }) => oracle.holders(number)),
    waiters: () =>
      locks.flatMap(({ name }) => snapshot({ namespace }).pending.find((wait) => wait.name === name)?.pid ?? []),
    others: () => [],
  };
  const as = any(Object.keys(pids));
  const wanted = new Set(pids[as]());
  const candidates = workers.filter(({ pid }) => wanted.has(pid));
  return candidates.length > 0 ? { victim: any(candidates), as } : { victim: any(workers), as: 'others' };
}

function any(list) {
  return list[Math.floor(Math.random() * list.length)];
}

/** Tells all to end; those that did not within END_MS. */
async function endAll(workers) {
  const all = [...workers];
  for (const [worker] of all) if (worker.connected) worker.send('end');
  const ended = Promise.all(all.map(([worker]) => once(worker, 'exit')));
  await Promise.race([ended, sleep(END_MS, undefined, { ref: false })]);
  return all.flatMap(([worker, team]) => (workers.has(worker) ? [`process ${worker.pid}: ${team.join(' + ')}`] : []));
}

/** How many can be had at once, one more than there should be at most. */
function countPermits({ permits, tryAcquire }) {
  const had = [];
  for (let one; had.length <= permits && (one = tryAcquire('exclusive')) !== null;) had.push(one);
  for (const held of had) held.release();
  return had.length;
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
        const { entered } = oracle.counts(number);
        if (entered !== seen.entered) this.#seen[index] = { entered, at: now };
        return now - this.#seen[index].at > STUCK_MS;
      })
      .map(({ name }) => name);
  }
}
