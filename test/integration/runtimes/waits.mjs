// What a lock does, in whatever runtime this is started: Node.js, Bun or Deno. Prints a line for each thing that went as it
// should, and ends by itself with code 0. Usage: start it with the folder of the built package and a namespace.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const [file, dist, namespace, role = 'main'] = isMainThread ? process.argv.slice(1) : workerData;
const { Lock } = await import(`${dist}/index.js`);
const lock = new Lock('shared', { namespace });

const say = (text) => process.stdout.write(`${text}\n`);
const assert = (what, isSo) => {
  if (!isSo) throw new Error(`not so: ${what}`);
  say(what);
};

/** Another process of this runtime in that role, once it has said `ready`. */
async function other(itsRole) {
  const deno = 'deno' in process.versions ? ['run', '--allow-all'] : [];
  const child = spawn(process.execPath, [...deno, file, dist, namespace, itsRole], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  await lines.next();
  return { child, ended, tell: (text) => child.stdin.write(text), next: async () => (await lines.next()).value };
}

async function main() {
  const first = lock.tryAcquire();
  assert('a try takes a free lock', first !== null);
  assert('and finds it busy', lock.tryAcquire() === null);
  const timedOut = await lock.acquire({ timeoutMs: 50 }).catch((error) => error.code);
  assert('a wait ends in time', timedOut === 'ERR_SEMLOCK_TIMEOUT');
  const reason = new Error('on purpose');
  const controller = new AbortController();
  const aborted = lock.acquire({ signal: controller.signal }).catch((error) => error);
  controller.abort(reason);
  assert('a wait ends when it is aborted', (await aborted) === reason);
  setTimeout(() => first.release(), 20);
  const second = await lock.acquire();
  assert('a wait is granted in its turn', second.token > first.token);

  const waiter = await other('waiter');
  second.release();
  assert('another process is handed the lock', (await waiter.next()) === 'granted');
  assert('and ends by itself', (await waiter.ended) === 0);
  const again = await lock.acquire();
  assert('and has given it back', !again.abandoned);
  again.release();

  const holder = await other('holder');
  const wait = lock.acquire();
  holder.child.kill('SIGKILL');
  const inherited = await wait;
  assert('a killed holder frees the lock', inherited.abandoned);
  inherited.release();

  const third = await lock.acquire();
  const worker = new Worker(new URL(import.meta.url), { workerData: [file, dist, namespace, 'worker'] });
  const heard = () => new Promise((resolve) => worker.once('message', resolve));
  await heard();
  const granted = heard();
  third.release();
  assert('a worker thread is handed the lock', (await granted) === 'granted');
  await worker.terminate();
  assert('and gives it back when it is terminated', (await lock.acquire()).abandoned);
}

const roles = {
  main,
  async waiter() {
    const wait = lock.acquire(); // and nothing else that keeps it running
    say('ready');
    const held = await wait;
    say('granted');
    held.release();
  },
  async holder() {
    await lock.acquire();
    say('ready');
    setInterval(() => {}, 1000);
  },
  async worker() {
    const wait = lock.acquire();
    parentPort.postMessage('waiting');
    await wait;
    parentPort.postMessage('granted');
    setInterval(() => {}, 1000);
  },
};
await roles[role]();
