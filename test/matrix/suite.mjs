// What the package does, as its user sees it, in whatever runtime this is started. Prints a line of JSON for each check.
// SEMLOCK_MATRIX_COMMAND is how to start this runtime, as a JSON array; SEMLOCK_MATRIX_SEMLOCK the package's command.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

import { fileLock, Lock, locks } from 'semlock';
import { locked } from 'semlock/fetch';

/** An emulated processor takes seconds to start a process. */
const TIMEOUT_MS = 90_000;
const file = fileURLToPath(import.meta.url);
const role = isMainThread ? (process.argv[2] ?? 'main') : workerData.role;

function expect(what, isSo) {
  if (!isSo) throw new Error(`not so: ${what}`);
}

/** A process: `next()` gives its next line, or undefined when it has ended. */
function start(program, args) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  return { child, ended, next: async () => (await lines.next()).value };
}

/** Another process of this runtime in that role, once it is ready. */
async function other(itsRole) {
  const [program, ...args] = JSON.parse(process.env.SEMLOCK_MATRIX_COMMAND);
  const started = start(program, [...args, file, itsRole]);
  expect(`a process as ${itsRole} is ready`, (await started.next()) === 'ready');
  return started;
}

const checks = {
  async try() {
    const lock = new Lock('try');
    const held = lock.tryAcquire();
    expect('a free lock is taken', held !== null);
    expect('a held one is busy', lock.tryAcquire() === null);
    expect('it is given back', held.release() && !held.release());
    const next = lock.tryAcquire();
    expect('the next token is larger', next.token > held.token);
    next.release();
  },
  async wait() {
    const lock = new Lock('wait');
    const held = lock.tryAcquire();
    const order = [];
    const waits = [1, 2].map((each) => lock.run(() => order.push(each)));
    setTimeout(() => held.release(), 20);
    await Promise.all(waits);
    expect('waits are granted in turn', order.join() === '1,2');
  },
  async 'wait on this thread'() {
    const lock = new Lock('sync');
    const held = lock.acquireSync();
    const worker = await inWorker('syncHolder');
    expect('it gives up in time', new Lock('sync of worker').acquireSync({ timeoutMs: 20 }) === null);
    worker.postMessage('release');
    const granted = new Lock('sync of worker').acquireSync({ timeoutMs: TIMEOUT_MS });
    expect('it is granted', granted !== null);
    granted.release();
    held.release();
    await worker.terminate();
  },
  async 'time-out'() {
    const lock = new Lock('time-out');
    const held = lock.tryAcquire();
    const error = await lock.acquire({ timeoutMs: 50 }).catch((reason) => reason);
    expect('the error says so', error.code === 'ERR_SEMLOCK_TIMEOUT');
    held.release();
  },
  async abort() {
    const lock = new Lock('abort');
    const held = lock.tryAcquire();
    const controller = new AbortController();
    const wait = lock.acquire({ signal: controller.signal }).catch((reason) => reason);
    const reason = new Error('on purpose');
    controller.abort(reason);
    expect('the wait rejects with the reason', (await wait) === reason);
    held.release();
  },
  async 'hand-over'() {
    const lock = new Lock('between processes');
    const held = lock.tryAcquire();
    const waiter = await other('waiter');
    held.release();
    expect('another process is handed the lock', (await waiter.next()) === 'granted');
    expect('that process ends by itself', (await waiter.ended) === 0);
    const again = await lock.acquire();
    expect('it has given the lock back', !again.abandoned);
    again.release();
  },
  async 'killed holder'() {
    const holder = await other('holder');
    const wait = new Lock('between processes').acquire();
    holder.child.kill('SIGKILL');
    const held = await wait;
    expect('the lock is abandoned', held.abandoned);
    held.release();
  },
  async shared() {
    const lock = new Lock('shared');
    const readers = [lock.tryAcquire({ mode: 'shared' }), lock.tryAcquire({ mode: 'shared' })];
    expect('readers hold it together', !readers.includes(null));
    expect('a writer does not', lock.tryAcquire() === null);
    const writer = lock.acquire();
    expect('no reader overtakes a writer', lock.tryAcquire({ mode: 'shared' }) === null);
    for (const reader of readers) reader.release();
    expect('the writer is granted', (await writer).release());
  },
  async 'Web Locks'() {
    const result = await locks.request('web', async (lock) => {
      expect('it is told what it holds', lock.name === 'web' && lock.mode === 'exclusive');
      const { held } = await locks.query();
      expect(
        'the query knows',
        held.some(({ name }) => name === 'web'),
      );
      return locks.request('web', { ifAvailable: true }, (none) => none);
    });
    expect('ifAvailable gives null', result === null);
  },
  async 'worker thread'() {
    const lock = new Lock('worker');
    const held = lock.tryAcquire();
    const worker = await inWorker('worker');
    const granted = heard(worker);
    held.release();
    expect('it is handed the lock', (await granted) === 'granted');
    await worker.terminate();
    expect('its lock comes free when it is terminated', (await lock.acquire()).release());
  },
  async 'node:http'() {
    let finish;
    const form = fileLock('http');
    const server = createServer((req, res) => {
      form(req, res, (error) => {
        if (error) res.writeHead(500).end(String(error));
        else finish = () => res.end('done');
        started?.();
      });
    });
    let started;
    const working = new Promise((resolve) => (started = resolve));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const get = async () => {
      const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers: { connection: 'close' } });
      return `${response.status} ${await response.text()}`;
    };
    try {
      const first = get();
      await working;
      expect('others are told busy', (await get()) === '503 busy');
      finish();
      expect('the first is answered', (await first) === '200 done');
      expect('the lock is free with the answer', new Lock('http').tryAcquire()?.release() === true);
    } finally {
      server.closeAllConnections?.();
      server.close();
    }
  },
  async 'fetch handlers'() {
    const gate = {};
    gate.opened = new Promise((resolve) => (gate.open = resolve));
    const handler = locked('fetch', async () => {
      await gate.opened;
      return new Response('done');
    });
    const first = handler(new Request('http://app/'));
    expect('others are told busy', (await handler(new Request('http://app/'))).status === 503);
    gate.open();
    expect('the first is answered', (await (await first).text()) === 'done');
    expect('the lock is free with the answer', new Lock('fetch').tryAcquire()?.release() === true);
  },
  async command() {
    const semlock = process.env.SEMLOCK_MATRIX_SEMLOCK;
    const held = new Lock('command').tryAcquire();
    const listed = start(semlock, ['ls']);
    const lines = [];
    for (let line; (line = await listed.next()) !== undefined;) lines.push(line);
    expect(
      'ls shows the holder',
      lines.some((line) => line.startsWith('exclusive') && line.includes('command')),
    );
    const busy = start(semlock, ['run', 'command', '--', 'true']); // says so on standard error, too
    expect('run gives up', (await busy.ended) === 75);
    held.release();
    const run = start(semlock, ['run', 'command', '--', 'sh', '-c', 'exit 7']);
    expect('run runs, and hands on the exit code', (await run.ended) === 7);
  },
};

const heard = (worker) => new Promise((resolve) => worker.once('message', resolve));

/** A worker thread in that role, once it is ready. */
async function inWorker(itsRole) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { role: itsRole } });
  worker.on('error', (error) => console.error(error));
  expect(`a worker as ${itsRole} is ready`, (await heard(worker)) === 'ready');
  return worker;
}

const roles = {
  async main() {
    const only = process.argv.slice(3);
    for (const [check, run] of Object.entries(checks).filter(([name]) => only.length === 0 || only.includes(name))) {
      let timer;
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`nothing came in ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
      });
      const error = await Promise.race([run(), late]).then(
        () => undefined,
        (reason) => `${reason.code ?? reason.name}: ${reason.message}`,
      );
      clearTimeout(timer);
      process.stdout.write(`${JSON.stringify({ check, error })}\n`);
    }
  },
  async waiter() {
    const wait = new Lock('between processes').acquire(); // and nothing else that keeps it running
    process.stdout.write('ready\n');
    const held = await wait;
    process.stdout.write('granted\n');
    held.release();
  },
  async holder() {
    await new Lock('between processes').acquire();
    process.stdout.write('ready\n');
    setInterval(() => {}, 1000);
  },
  async worker() {
    const wait = new Lock('worker').acquire();
    parentPort.postMessage('ready');
    await wait;
    parentPort.postMessage('granted');
    setInterval(() => {}, 1000);
  },
  async syncHolder() {
    const held = new Lock('sync of worker').tryAcquire();
    parentPort.on('message', () => held.release());
    parentPort.postMessage('ready');
  },
};
await roles[role]();
