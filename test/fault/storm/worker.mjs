// One process of the storm: each of its threads takes one lock after the other in the way that is its role, tells the
// oracle, and dies when the process is killed.
// Usage: fork it with <kind> <namespace> <path of the oracle's file> <path of the history's file> <role of the main thread>
// <role of another>…; it ends on the message 'end'.

import { openSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, threadId, Worker, workerData } from 'node:worker_threads';

import { contenders } from './contenders.mjs';
import { oracle, STUCK_MS, tally } from './oracle.mjs';

const [kind, namespace, oraclePath, historyPath, mainRole, ...otherRoles] = process.argv.slice(2);
oracle.open(oraclePath);
const locks = contenders(kind, namespace);

/** What happened is appended to it at once, as this process may be killed at any time. */
const history = openSync(historyPath, 'a');
let noted = 0;
const nextId = () => `${process.pid}.${threadId}.${(noted += 1)}`;
const note = (entry) => writeSync(history, `${JSON.stringify(entry)}\n`);
/** Milliseconds of one clock for all processes. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

/** How many waits one thread has at a time. */
const WAITS = 4;

const roles = {
  /** Tries, and goes away when it is busy. */
  async try() {
    for (let round = 0; round < 50; round++) {
      const { lock, mode } = choose();
      const asked = now();
      const held = lock.tryAcquire(mode);
      if (held !== null) await hold(lock, mode, held, 'tried', asked);
    }
    await sleep(0);
  },

  /** Waits for several at a time, mostly until it is served. */
  async wait() {
    await Promise.all(Array.from({ length: WAITS }, () => waitOnce()));
  },

  /** Blocks its thread until it is served. */
  async block() {
    const { lock, mode } = choose();
    const timeoutMs = chance(0.5) ? Math.floor(Math.random() * 30) : undefined;
    const asked = now();
    const held = lock.acquireSync({ mode, timeoutMs });
    if (now() - asked > (timeoutMs ?? 0) + STUCK_MS) tally('late');
    if (held === null) tally('timedOut');
    else await hold(lock, mode, held, 'blocked', asked);
    await sleep(0);
  },

  async steal() {
    const lock = locks.find(({ stolen }) => stolen);
    const asked = now();
    // Killed in between, it may have robbed somebody and got nothing, or not come to write down what.
    const id = nextId();
    note({ id, client: process.pid, lock: lock.name, steals: asked });
    const held = await lock.steal();
    if (held !== null) await hold(lock, 'exclusive', held, 'stole', asked);
    note({ id, ended: true });
    await sleep(Math.random() * 10);
  },
};

async function waitOnce() {
  const { lock, mode } = choose();
  const timeoutMs = chance(0.5) ? Math.floor(Math.random() * 30) : undefined;
  const abortion = new AbortController();
  const abort = chance(0.3) ? setTimeout(() => abortion.abort(), Math.random() * 10) : undefined;
  const late = setTimeout(() => tally('late'), (timeoutMs ?? 0) + STUCK_MS);
  const asked = now();
  let held;
  try {
    held = await lock.acquire({ mode, timeoutMs, signal: abortion.signal });
  } catch (error) {
    if (error.code === 'ERR_SEMLOCK_TIMEOUT') tally('timedOut');
    else if (abortion.signal.aborted) tally('aborted');
    else throw error;
    return;
  } finally {
    clearTimeout(abort);
    clearTimeout(late);
  }
  await hold(lock, mode, held, 'waited', asked);
}

function choose() {
  const lock = locks[Math.floor(Math.random() * locks.length)];
  return { lock, mode: lock.readers && chance(0.6) ? 'shared' : 'exclusive' };
}

async function hold(lock, mode, held, how, asked) {
  tally(how);
  const got = now();
  const [id, stole] = [nextId(), how === 'stole'];
  note({ id, client: process.pid, lock: lock.name, mode, asked, got, token: held.token, ...(stole ? { stole } : {}) });
  const over = () => {
    const at = now();
    note({ id, gaveBack: at });
    return at;
  };
  await work(lock, mode, held, over, (at) => note({ id, lost: at }));
}

/** Tells the oracle; `over` is called just before it is released, `lost` with that time when it turns out to be lost. */
async function work(lock, mode, held, over, lost) {
  if (lock.stolen) {
    oracle.announce(lock.number, held.token);
    await linger();
    const outdated = oracle.isOutdated(lock.number, held.token);
    const at = over();
    const wasHeld = held.release();
    if (!wasHeld) lost(at);
    if (wasHeld && outdated) oracle.reportExcess(lock.number);
    return;
  }
  const place = oracle.enter(lock.number, lock.permits, mode === 'shared');
  await linger();
  if (place >= 0) oracle.leave(lock.number, place);
  over();
  held.release();
}

/** Mostly short, so that deaths fall into the protocol's steps; sometimes long, so that they fall on holders. */
async function linger() {
  if (chance(0.05)) await sleep(Math.random() * 10);
  else if (chance(0.25)) spin(Math.random() * 0.1);
}

function spin(ms) {
  for (const end = performance.now() + ms; performance.now() < end;);
}

function chance(probability) {
  return Math.random() < probability;
}

const argv = process.argv.slice(2);
const threads = isMainThread
  ? otherRoles.map((role) => new Worker(new URL(import.meta.url), { argv, workerData: role }))
  : [];
let ended = false;
(isMainThread ? process : parentPort).once('message', () => {
  ended = true;
  for (const thread of threads) thread.postMessage('end');
});
if (isMainThread) process.send('ready');
const role = roles[isMainThread ? mainRole : workerData];
while (!ended) await role();
if (isMainThread) process.disconnect();
