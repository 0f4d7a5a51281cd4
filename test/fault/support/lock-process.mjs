// A process that does with locks what its parent tells it, one call at a time, and can be killed meanwhile. It stands
// on the addon itself, so that a test sees entries and errnos, and can have the build with the crash points.
// Usage: fork it with the addon's path as its argument; lock-process.ts is its other half.

import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readlinkSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { digest, namespaceId } from '../../../dist/names.js';

const addonPath = process.argv[2];
const addon = createRequire(import.meta.url)(addonPath);

/** Native handles by the description of their lock. */
const handles = new Map();
let worker;

function open(lock) {
  const key = JSON.stringify(lock);
  let handle = handles.get(key);
  if (handle === undefined) {
    const { namespace, name, permits = 1, named = true, posixName = '', owners } = lock;
    const id = namespaceId(namespace, owners);
    handle = addon.lockOpen(id, digest(name), name, permits, named, posixName, '', ...whose(owners));
    handles.set(key, handle);
  }
  return handle;
}

const whose = (owners) => [['own', 'user', 'group'].indexOf(owners?.kind ?? 'own'), owners?.id ?? 0];

const EXCLUSIVE = 0;
const MODES = { exclusive: EXCLUSIVE, shared: 1 };
const QUEUED = -3;
const CLEARED = ['cleared', 'in use', 'owes news'];

function tryAcquire(lock, mode = 'exclusive') {
  addon.lockArguments.set([open(lock), MODES[mode]]);
  return grantOf(addon.lockTryAcquire());
}

/** What a native call that may give a permit returned; null for busy. */
function grantOf(entry) {
  if (entry === -1) return null;
  if (entry < 0) addon.lockError();
  return { entry, token: addon.lockResult[0], abandoned: addon.lockResult[1] !== 0 };
}

function release(lock, { entry, token }) {
  addon.lockArguments.set([open(lock), entry, token]);
  return addon.lockRelease() === 1;
}

const median = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];

const calls = {
  open: (lock) => void open(lock),
  tryAcquire,
  release,
  /** Blocks the whole process until it has a permit, or null when the time is over. */
  wait: (lock, ms, mode = 'exclusive') => grantOf(addon.lockAcquireSync(open(lock), MODES[mode], ms)),
  /** Waits without blocking, as servers do: its event loop is told of the grant. */
  waitInTurn: (lock, mode = 'exclusive') =>
    new Promise((resolve) => {
      addon.lockOnEvents(() => {
        const [, entry, token, abandoned] = addon.lockEvents;
        resolve({ entry, token, abandoned: abandoned !== 0 });
      });
      const entry = addon.lockWait(open(lock), MODES[mode], -1);
      if (entry !== QUEUED) resolve(grantOf(entry));
    }),
  /** Takes a permit, and ends when its event loop is told that it is gone. */
  isTold: (lock) =>
    new Promise((resolve) => {
      const { entry, token } = tryAcquire(lock);
      addon.lockOnEvents(() => resolve(addon.lockEvents[1] === -1));
      addon.lockWatch(open(lock), entry, token);
      addon.lockKeepAlive(true);
    }),
  /** As `release`, of a grant that nobody wants. */
  decline: (lock, { entry, token, abandoned }) => void addon.lockDecline(open(lock), entry, token, abandoned),
  steal: (lock) => grantOf(addon.lockSteal(open(lock))),
  available: (lock) => addon.lockAvailable(open(lock)),
  query: (namespace, owners) => addon.lockQuery(namespaceId(namespace, owners), ...whose(owners)),
  clear: (namespace, evenNews) => CLEARED[addon.lockClear(namespaceId(namespace), evenNews)],
  /** Becomes another user, as `process.setuid` of an app that uses semlock does it. */
  becomeUser(user) {
    process.setuid(user);
    addon.ownersNoteChange();
  },
  arm: (step, signal, count) => addon.faultArm(step, signal, count),
  /**
   * As code that closes what is not its own: closes all pipes to inboxes, and opens files until one has the number of
   * each. Their names.
   */
  takeInboxes(folder) {
    const isInbox = (fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).includes('.inbox-');
      } catch {
        return false; // that of the folder itself, which is closed by now
      }
    };
    const numbers = readdirSync('/proc/self/fd').map(Number).filter(isInbox);
    for (const number of numbers) closeSync(number);
    const files = [];
    while (numbers.length > 0) {
      const path = `${folder}/${files.length}`;
      const number = openSync(path, 'w+');
      if (numbers.includes(number)) numbers.splice(numbers.indexOf(number), 1);
      writeSync(number, 'precious');
      files.push(path);
    }
    return files;
  },
  compute(ms) {
    for (const end = performance.now() + ms; performance.now() < end;);
  },
  exit: (code) => process.exit(code),
  throwUncaught: () => void setImmediate(() => { throw new Error('on purpose'); }), // prettier-ignore
  /** Ends by what V8 or the addon does when the system refuses memory. */
  useUpMemory: () => {
    spawnSync('prlimit', ['--pid', process.pid, '--as=0', '--core=0']);
    for (const all = []; ;) all.push(Buffer.alloc(1 << 20).toString('latin1'));
  },
  /** Another program, which lives on after this process; its pid. */
  startProgram: () => spawn('sleep', ['30'], { stdio: 'ignore', detached: true }).pid,
  endNaturally: () => process.disconnect(),
  memory: () => process.memoryUsage().rss,

  /** How many permits can be had at once; gives them back. */
  count(lock) {
    const grants = [];
    for (let grant; grants.length < 10 && (grant = tryAcquire(lock)) !== null;) grants.push(grant);
    for (const grant of grants) release(lock, grant);
    return grants.length;
  },

  /** Tries without a pause until it succeeds. */
  tryFor(lock, ms) {
    const start = performance.now();
    let tries = 0;
    for (;;) {
      const grant = tryAcquire(lock);
      tries++;
      if (grant !== null || performance.now() - start > ms) return { grant, tries, ms: performance.now() - start };
    }
  },

  /** Takes and gives back each of the names `<prefix><number>` once; how many of them were busy. */
  useEach(lock, prefix, from, to) {
    let busy = 0;
    for (let number = from; number < to; number++) {
      const one = { ...lock, name: `${prefix}${number}` };
      const grant = tryAcquire(one);
      if (grant === null) busy++;
      else release(one, grant);
      addon.lockClose(open(one));
      handles.delete(JSON.stringify(one));
    }
    return busy;
  },

  /** Takes each of the names and keeps it, until one cannot be had: how many, and the kind of the error. */
  holdEach(lock, prefix, from, to) {
    const grants = [];
    try {
      for (let number = from; number < to; number++) {
        // Others make names as well: whoever loses the processor in the table's latch makes them answer busy.
        const { grant } = calls.tryFor({ ...lock, name: `${prefix}${number}` }, 1000);
        if (grant === null) return { held: grants.length, error: 'busy', grants };
        grants.push(grant);
      }
    } catch (error) {
      return { held: grants.length, error: error.kind ?? String(error.errno), grants };
    }
    return { held: grants.length, grants };
  },

  releaseEach: (lock, prefix, from, grants) =>
    grants.filter((grant, index) => release({ ...lock, name: `${prefix}${from + index}` }, grant)).length,

  /** Median time of a try and a release, in microseconds: of names never used before, and of one that is hot. */
  times(lock, prefix, rounds) {
    const measure = (one) => {
      open(one);
      const start = process.hrtime.bigint();
      release(one, tryAcquire(one));
      return Number(process.hrtime.bigint() - start) / 1000;
    };
    const cold = Array.from({ length: rounds }, (_, number) => measure({ ...lock, name: `${prefix}${number}` }));
    const hot = Array.from({ length: rounds }, () => measure({ ...lock, name: `${prefix}0` }));
    return { cold: median(cold), hot: median(hot) };
  },

  /**
   * Tries and gives back for so long, in turns of the event loop: how often it had the lock, and how long the fastest
   * try and half of them took.
   */
  async tryInTurns(lock, ms) {
    const took = [];
    let had = 0;
    for (const end = performance.now() + ms; performance.now() < end;) {
      const start = process.hrtime.bigint();
      const grant = tryAcquire(lock);
      if (grant !== null) release(lock, grant);
      took.push(Number(process.hrtime.bigint() - start) / 1e6);
      if (grant !== null) had++;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return { had, tries: took.length, fastestMs: Math.min(...took), medianMs: median(took) };
  },

  /** Has a worker thread of this process do one of the `threadCalls` with the lock; ends when it has begun. */
  inWorker(call, lock) {
    worker = new Worker(new URL(import.meta.url), { argv: [addonPath], workerData: { call, lock } });
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  },
  terminateWorker: () => worker.terminate(),
  workerEnds: () => new Promise((resolve) => worker.once('exit', resolve)),

  /** The raw semaphore of that name, without any table. */
  semOpen: (name, value, mode = 0o600) => addon.semOpen(name, 1, mode, value),
  /** Opens it again and again: how often it had which value, or could not be opened for which reason. */
  async openFor(name, ms) {
    const results = {};
    for (const end = performance.now() + ms; performance.now() < end;) {
      let result;
      try {
        const handle = addon.semOpen(name, 0, 0, 0);
        result = addon.semValue(handle);
        addon.semClose(handle);
      } catch (error) {
        result = error.kind ?? getSystemErrorName(-error.errno);
      }
      results[result] = (results[result] ?? 0) + 1;
    }
    return results;
  },
  semTryWait: (handle) => addon.semTryWait(handle) === 0,
  semPost: (handle) => addon.semPost(handle) === 0,
  semUnlink: (name) => addon.semUnlink(name),
  /** At once, and again where somebody of ours has made it anew in between. */
  semReplace(name, value) {
    for (;;) {
      addon.semUnlink(name);
      try {
        return addon.semOpen(name, 2, 0o600, value);
      } catch (error) {
        if (error.errno !== constants.errno.EEXIST) throw error;
      }
    }
  },
  semValue(name) {
    const handle = addon.semOpen(name, 0, 0, 0);
    const value = addon.semValue(handle);
    addon.semClose(handle);
    return value;
  },
};

const threadCalls = {
  hold(lock) {
    parentPort.postMessage(tryAcquire(lock));
    setInterval(() => {}, 1000);
  },

  /** Waits, and ends when the permit was granted but its event loop does not know of it yet. */
  waitAndEnd(lock) {
    addon.lockOnEvents(() => {});
    parentPort.postMessage(addon.lockWait(open(lock), EXCLUSIVE, -1));
    while (calls.query(lock.namespace).some(({ waiters }) => waiters.length > 0));
    const told = performance.now() + 100; // it was told by then
    while (performance.now() < told);
    process.exit();
  },
};

if (isMainThread) {
  process.on('message', async ({ id, call, args }) => {
    let answer;
    try {
      answer = { id, value: await calls[call](...args) };
    } catch (error) {
      answer = { id, error: { message: error.message, kind: error.kind, errno: error.errno } };
    }
    if (process.connected) process.send(answer);
  });
  process.send('ready');
} else {
  threadCalls[workerData.call](workerData.lock);
}
