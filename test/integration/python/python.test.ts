// A lock with a posixName is a plain POSIX semaphore to everybody else. Python, with nothing but its standard library,
// takes part: it is kept out, it keeps out, and together the work comes out right.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { NamedSemaphore } from '../../../src/primitives/named-semaphore.js';
import { startHolder } from '../../support/holder.js';
import { scratchSemaphore } from '../../support/semaphore-name.js';
import { scratchNamespace } from '../../support/shm.js';

const holder = fileURLToPath(new URL('holder.py', import.meta.url));
const namespace = scratchNamespace();

/** A Python process that has the semaphore of this name. */
class Python {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #gone: Promise<unknown>;

  constructor(posixName: string) {
    this.#process = spawn('python3', [holder, posixName], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#gone = once(this.#process, 'exit');
    this.#answers = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  /** Gives what Python printed: `'True'` or `'False'`. */
  async tell(...order: (string | number)[]): Promise<string> {
    this.#process.stdin!.write(`${order.join(' ')}\n`);
    const { done, value } = await this.#answers.next();
    if (done === true) throw new Error(`Python ended at ${order.join(' ')}`);
    return value;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.#process.stdin!.end();
    await this.#gone;
  }
}

let posixName: string;
let lock: Lock;
let python: Python;
beforeEach(() => {
  posixName = scratchSemaphore();
  lock = new Lock(`shared as ${posixName}`, { namespace, posixName });
  python = new Python(posixName);
});
afterEach(() => python.end());

describe('one semaphore, opened by Node.js and by Python', () => {
  it('keeps Python out while Node.js holds it', async () => {
    const held = lock.tryAcquire()!;
    expect(await python.tell('acquire')).toBe('False');
    held.release();
    expect(await python.tell('acquire')).toBe('True');
    await python.tell('release');
  });

  it('keeps Node.js out while Python holds it', async () => {
    lock.tryAcquire()!.release();
    expect(await python.tell('acquire')).toBe('True');
    expect(lock.tryAcquire()).toBeNull();
    await python.tell('release');
    const held = lock.tryAcquire();
    expect(held).not.toBeNull();
    held!.release();
  });

  it('may have been created by Python', async () => {
    expect(await python.tell('create')).toBe('True');
    expect(await python.tell('acquire')).toBe('True');
    expect(lock.tryAcquire()).toBeNull();
    await python.tell('release');
    expect(lock.tryAcquire()?.release()).toBe(true);
  });

  it('is one value for both', async () => {
    using semaphore = NamedSemaphore.create(posixName, { value: 1 });
    await python.tell('acquire');
    expect(semaphore.value).toBe(0);
    expect(semaphore.tryWait()).toBe(false);
    await python.tell('release');
    expect(semaphore.value).toBe(1);
  });
});

describe('one semaphore to which two apps give different names', () => {
  it('is one lock: when its holder in one is killed, the other has it, and is told', async () => {
    const holder = await startHolder('ledger', { namespace: scratchNamespace(), posixName });
    const other = new Lock('books', { namespace: scratchNamespace(), posixName });
    expect(other.tryAcquire()).toBeNull();
    await holder.die();
    const held = other.tryAcquire()!;
    expect(held.abandoned).toBe(true);
    expect(await python.tell('acquire')).toBe('False');
    held.release();
    expect(await python.tell('acquire')).toBe('True');
    await python.tell('release');
  });

  it('is one lock in a process: what waits for it under one name is served when it is released under the other', async () => {
    const held = lock.tryAcquire()!;
    const waiting = new Lock('books', { namespace: scratchNamespace(), posixName }).acquire();
    held.release();
    (await waiting).release();
  });
});

describe('a Python program that takes the semaphore again right after each release', () => {
  const rounds = 1000;
  const turns = 10;

  it.each([
    ['acquire()', () => lock.acquire()],
    ['acquireSync()', () => lock.acquireSync()!],
  ])('leaves turns to %s', { timeout: 60_000 }, async (_, acquire) => {
    lock.tryAcquire()!.release();
    const hog = { over: false };
    const hogging = python.tell('hog', rounds).catch(() => {}); // it is killed
    void hogging.then(() => {
      hog.over = true;
    });
    let had = 0;
    while (had < turns && !hog.over) {
      await nextTurn();
      if (lock.tryAcquire()?.release() === true) continue; // nobody had to wait
      const held = await acquire();
      held.release();
      had += 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 50)); // what Python printed has come by then
    expect(hog.over, `it had ${rounds} turns meanwhile`).toBe(false);
    python.kill();
    await hogging;
  });
});

describe('a file that both count in', () => {
  const times = 300;
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'semlock-python-'));
    file = join(folder, 'count');
    writeFileSync(file, '0');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Adds 1 as Python does, with a pause between reading and writing in which Python could come in. */
  async function count(): Promise<void> {
    for (let done = 0; done < times;) {
      const held = lock.tryAcquire();
      if (held !== null) {
        const number = Number(readFileSync(file, 'utf8'));
        await nextTurn();
        writeFileSync(file, String(number + 1));
        held.release();
        done += 1;
      }
      await nextTurn();
    }
  }

  it('has every count of both in the end', async () => {
    lock.tryAcquire()!.release();
    const [answer] = await Promise.all([python.tell('count', file, times), count()]);
    expect(answer).toBe('True');
    expect(Number(readFileSync(file, 'utf8'))).toBe(2 * times);
  });

  it('loses one where they use two semaphores: the control', async () => {
    const held = new Lock('not shared', { namespace }).tryAcquire()!;
    const number = Number(readFileSync(file, 'utf8'));
    await python.tell('create');
    expect(await python.tell('count', file, 1)).toBe('True');
    writeFileSync(file, String(number + 1));
    held.release();
    expect(readFileSync(file, 'utf8')).toBe('1');
  });
});
