// Waits for locks that another process holds, in several ways. Says so on standard output, ends when it is told
// something on standard input, and says what became of the wait of a thread that was terminated.
// Usage: node pending-waits.mjs <namespace> <one of waits> <one of endings>

import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { createLocks, Lock } from 'semlock';

const [namespace, how, ending] = isMainThread ? process.argv.slice(2) : workerData;
const locks = createLocks({ namespace });
const lock = () => new Lock('held', { namespace });
const never = () => process.exit(99);
let thread;

const waits = {
  acquire() {
    for (let count = 0; count < 100; count += 1) void lock().acquire().then(never);
  },
  request() {
    for (let count = 0; count < 100; count += 1) void locks.request('held', never);
  },
  async 'acquire in a thread'() {
    thread = new Worker(new URL(import.meta.url), { workerData: [namespace, 'acquire'] });
    await once(thread, 'message');
  },
  async 'acquireSync in a thread'() {
    thread = new Worker(new URL(import.meta.url), { workerData: [namespace, 'acquireSync'] });
    await once(thread, 'message');
    while ((await locks.query()).pending.length === 0) await nextTurn();
  },
  acquireSync() {
    parentPort.postMessage('is about to block');
    lock().acquireSync();
    never();
  },
};

const endings = {
  'process.exit()': () => process.exit(7),
  'an uncaught exception': () => void setImmediate(() => { throw new Error('on purpose'); }), // prettier-ignore
  async 'worker.terminate()'() {
    const code = await thread.terminate();
    const { pending } = await locks.query();
    console.log(JSON.stringify({ code, pending: pending.length }));
  },
};

await waits[how]();
if (isMainThread) {
  console.log('waits');
  await once(process.stdin, 'data');
  process.stdin.destroy();
  await endings[ending]();
} else {
  parentPort.postMessage('waits');
}
