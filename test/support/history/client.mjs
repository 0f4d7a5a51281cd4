// One of several processes that use a lock without a plan, and write down what they see, for check.ts. It reports over IPC, each thing when it happens, because it may be killed at any time.

import { setTimeout as sleep } from 'node:timers/promises';

import { Lock, Semaphore } from 'semlock';

import { makeStore } from '../remote/make-store.mjs';

const { name, seed, store: how, namespace, permits, seconds, holdMs, patience } = JSON.parse(process.argv[2]);

/** Milliseconds of one clock for all processes of the machine, also for those that are stopped. */
const now = () => Number(process.hrtime.bigint()) / 1e6;
const { store, close } = await makeStore(how);
const lock =
  permits === 1 ? new Lock('file', { namespace, store }) : new Semaphore('file', { namespace, permits, store });

let random = seed;
/** The same numbers for the same seed. */
const chance = (probability) => {
  random = (random * 1_103_515_245 + 12_345) % 2 ** 31;
  return random / 2 ** 31 < probability;
};

let [blockMs, over, calls] = [0, false, 0];
const answers = new Map();
process.on('message', (message) => {
  if (message.do === 'block') blockMs = message.ms;
  else if (message.do === 'end') over = true;
  else answers.get(message.call)?.(message);
});
const tell = (entry) => process.send({ entry });
/** Reads or writes the register in the test's process, which refuses a token that is older than one it has seen. */
const register = (request) =>
  new Promise((resolve) => {
    calls += 1;
    answers.set(calls, resolve);
    process.send({ register: { call: calls, ...request } });
  });

// A machine that is busy otherwise may not let this process run for longer than the tenth of its lease by which a session ends
// early here: then the loss is told too late.
let beat = now();
const heart = setInterval(() => {
  const [from, to] = [beat, now()];
  beat = to;
  if (to - from > (how.leaseMs ?? Infinity) / 10) process.send({ stall: { from, to } });
}, 20);

async function round(number) {
  const id = `${name}.${number}`;
  const mode = permits === 1 && chance(0.3) ? 'shared' : 'exclusive';
  const entry = { id, client: name, lock: 'file', mode, asked: now() };
  const hold = await ask(mode).catch((error) => {
    entry.failed = `${error.code}: ${error.message}`;
    return null;
  });
  if (hold === null) {
    if (entry.failed !== undefined) tell(entry);
    return false;
  }
  entry.got = now();
  entry.token = hold.token;
  const { signal } = hold;
  if (signal.aborted) entry.lost = entry.got;
  signal.addEventListener('abort', () => {
    entry.lost ??= now();
    tell({ ...entry, why: String(hold.lost?.message) });
  });
  tell(entry);
  if (blockMs > 0) {
    const until = now() + blockMs;
    blockMs = 0;
    while (now() < until);
    beat = now();
    entry.blocked = true;
  }
  if (mode === 'exclusive' && permits === 1) {
    const { value } = await register({ id, token: hold.token });
    await sleep(chance(0.5) ? 0 : holdMs);
    if (!signal.aborted) await register({ id, token: hold.token, write: value + 1 });
  } else await sleep(chance(0.5) ? 0 : holdMs);
  entry.gaveBack = now();
  await hold[Symbol.asyncDispose]();
  tell({ ...entry, releaseAnswered: now() });
  return true;
}

function ask(mode) {
  if (chance(0.2)) return lock.acquire({ mode, ifAvailable: true });
  const signal = chance(0.2) ? AbortSignal.timeout(1 + (random % 20)) : undefined;
  return lock.acquire({ mode, signal, timeoutMs: chance(0.2) ? 1 + (random % 20) : patience });
}

process.send({ ready: true });
for (let [end, number] = [now() + seconds * 1000, 0]; now() < end && !over; number += 1) {
  if (!(await round(number))) await sleep(2);
}
clearInterval(heart);
await store.close?.();
await close();
// A pool of postgres.js that was ended while it made a connection anew keeps that, and so the process, and so does a client of
// node-redis that was destroyed meanwhile. That a store alone keeps none is shown elsewhere.
if (['postgres.js', 'node-redis'].includes(how.kind)) process.once('disconnect', () => process.exit());
process.disconnect();
