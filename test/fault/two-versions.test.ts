// A deploy in which two releases of an app run beside each other, on versions of semlock whose lock tables differ, or not.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { scratchNamespace } from '../support/shm.js';
import { FAULT_ADDON } from './support/lock-process.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const APP = fileURLToPath(new URL('support/release.mjs', import.meta.url));
/** The layouts before, and of this version. */
const OLD = '5';
const NEW = undefined;

let semlock: string;

beforeAll(() => {
  semlock = mkdtempSync(join(tmpdir(), 'semlock-two-versions-'));
  for (const part of ['package.json', 'dist']) cpSync(join(root, part), join(semlock, part), { recursive: true });
  mkdirSync(join(semlock, 'build/Release'), { recursive: true });
  symlinkSync(FAULT_ADDON, join(semlock, 'build/Release/semlock.node'));
  symlinkSync(join(root, 'node_modules'), join(semlock, 'node_modules'));
});

afterAll(() => rmSync(semlock, { recursive: true }));

class Release {
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  static async start(namespace: string, layout: string | undefined): Promise<Release> {
    const env = { ...process.env, SEMLOCK_LAYOUT: layout };
    const child = fork(APP, [join(semlock, 'dist/index.js'), namespace], { env, execArgv: [] });
    const [port] = (await once(child, 'message')) as [number];
    const release = new Release(child, port);
    onTestFinished(() => release.end('SIGKILL'));
    return release;
  }

  /** Status and body, which has the code of an error. */
  async get(path: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, { headers: { Connection: 'close' } });
    return `${response.status} ${await response.text()}`;
  }

  /** A request that has the lock until `finish`. */
  async work(): Promise<{ finish(): Promise<string> }> {
    const answer = this.get('/long');
    answer.catch(() => undefined); // whoever kills this release expects no answer
    await once(this.#child, 'message');
    return {
      finish: () => {
        this.#child.send('finish');
        return answer;
      },
    };
  }

  /** In good order, or by a signal. */
  async end(signal?: 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    if (signal === undefined) this.#child.send('end');
    else this.#child.kill(signal);
    await ended;
  }
}

describe('a release on a version with another layout', () => {
  it('has no lock while the old one runs, and all of them when that has ended, without a restart', async () => {
    const namespace = scratchNamespace();
    const old = await Release.start(namespace, OLD);
    expect(await old.get('/')).toBe('200 ok');

    const next = await Release.start(namespace, NEW);
    expect(await next.get('/')).toBe('503 ERR_SEMLOCK_LAYOUT');
    expect(await next.get('/ready')).toBe('503 ERR_SEMLOCK_LAYOUT');
    expect(await old.get('/')).toBe('200 ok');

    await old.end();
    expect(await next.get('/ready')).toBe('200 ok');
    expect(await next.get('/')).toBe('200 ok');
    await next.end();
  });

  it('waits in the same way for the work that the old one finishes', async () => {
    const namespace = scratchNamespace();
    const old = await Release.start(namespace, OLD);
    const work = await old.work();
    const next = await Release.start(namespace, NEW);
    expect(await next.get('/')).toBe('503 ERR_SEMLOCK_LAYOUT');

    expect(await work.finish()).toBe('200 ok');
    await old.end();
    expect(await next.get('/')).toBe('200 ok');
    await next.end();
  });

  it('has the locks of an old one that was killed with a lock in hand', async () => {
    const namespace = scratchNamespace();
    const old = await Release.start(namespace, OLD);
    await old.work();
    const next = await Release.start(namespace, NEW);
    expect(await next.get('/')).toBe('503 ERR_SEMLOCK_LAYOUT');

    await old.end('SIGKILL');
    expect(await next.get('/')).toBe('200 ok');
    await next.end();
  });

  it('goes back to the old one in the same way', async () => {
    const namespace = scratchNamespace();
    const next = await Release.start(namespace, NEW);
    expect(await next.get('/')).toBe('200 ok');
    const old = await Release.start(namespace, OLD);
    expect(await old.get('/')).toBe('503 ERR_SEMLOCK_LAYOUT');
    await next.end();
    expect(await old.get('/')).toBe('200 ok');
    await old.end();
  });
});

describe('a release on a version with the same layout', () => {
  it('shares the locks with the old one', async () => {
    const namespace = scratchNamespace();
    const old = await Release.start(namespace, NEW);
    const work = await old.work();
    const next = await Release.start(namespace, NEW);
    expect(await next.get('/ready')).toBe('200 ok');
    expect(await next.get('/')).toBe('503 busy');

    expect(await work.finish()).toBe('200 ok');
    expect(await next.get('/')).toBe('200 ok');
    await Promise.all([old.end(), next.end()]);
  });
});
