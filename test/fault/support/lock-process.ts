// The parent's half of lock-process.mjs: starts such processes, calls them, kills and stops them.

import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

import type { Owners } from '../../../src/names.js';
import type { LockMode } from '../../../src/store.js';
import type { LockReport } from '../../../src/native.js';
import { eventually } from './eventually.js';

const PROGRAM = fileURLToPath(new URL('lock-process.mjs', import.meta.url));

/** The addon with the crash points. */
export const FAULT_ADDON = fileURLToPath(new URL('../addon/build/Release/semlock_fault.node', import.meta.url));

/** No call takes so long, on whatever machine. */
const HANGS_MS = 25_000;

export type { LockMode };

/** A lock as the native interface knows it. */
export interface LockDescription {
  readonly namespace: string;
  readonly name: string;
  readonly permits?: number;
  /** `false`: one of many computed names. */
  readonly named?: boolean;
  /** Of its semaphore, where other programs use that too. */
  readonly posixName?: string;
  /** Whose it is. Default: the user's. */
  readonly owners?: Owners;
}

export interface Grant {
  readonly entry: number;
  readonly token: number;
  readonly abandoned: boolean;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What the addon threw in the process. */
export class NativeFailure extends Error {
  readonly kind: string | undefined;
  readonly errno: number;
  constructor({ message, kind, errno }: { message: string; kind?: string; errno: number }) {
    super(message);
    this.kind = kind;
    this.errno = errno;
  }
}

export class LockProcess {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #ready: Promise<unknown>;
  readonly #pending = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #calls = 0;
  #over = false;
  #stderr = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = once(child, 'exit').then(([code, signal]: (number | NodeJS.Signals | null)[]) => {
      this.#over = true;
      for (const { reject } of this.#pending.values()) reject(new Error('the process ended'));
      return { code, signal } as Ended;
    });
    const isOver = this.ended.then(({ code, signal }) => {
      throw new Error(`the process ended with ${code ?? signal} before it had started: ${this.#stderr}`);
    });
    this.#ready = Promise.race([once(child, 'message'), isOver]);
    this.#ready.catch(() => {}); // whoever calls it is told
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    child.on('message', (answer) => this.#take(answer as never));
  }

  /** Starts one; `through` is a command line that runs the rest of its arguments, such as `unshare --mount`. */
  static start({ through = [] as string[] } = {}): LockProcess {
    const stdio = ['ignore', 'inherit', 'pipe', 'ipc'] as const;
    const child =
      through.length === 0
        ? fork(PROGRAM, [FAULT_ADDON], { stdio: [...stdio], execArgv: [] })
        : spawn(through[0]!, [...through.slice(1), process.execPath, PROGRAM, FAULT_ADDON], { stdio: [...stdio] });
    return new LockProcess(child);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async call<T>(call: string, ...args: unknown[]): Promise<T> {
    await this.#inTime(this.#ready, 'its start');
    if (this.#over) throw new Error('the process has ended');
    const id = this.#calls++;
    const answer = new Promise<T>((resolve, reject) => this.#pending.set(id, { resolve, reject }));
    this.#child.send({ id, call, args }, () => {}); // when it is dead, `ended` says so
    return await answer;
  }

  /** What comes of `promise`; an error that tells where the process is when it takes so long that it must hang. */
  async #inTime<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const file = `/proc/${this.pid}/wchan`;
        const where = existsSync(file) ? readFileSync(file, 'utf8') : 'it is gone';
        reject(new Error(`the process hangs in ${what}: ${where}`));
      }, HANGS_MS);
    });
    return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  open = (lock: LockDescription) => this.call<undefined>('open', lock);
  tryAcquire = (lock: LockDescription, mode: LockMode = 'exclusive') =>
    this.call<Grant | null>('tryAcquire', lock, mode);
  /** Blocks the process until it has a permit; `null` when the time is over. */
  wait = (lock: LockDescription, ms: number, mode: LockMode = 'exclusive') =>
    this.call<Grant | null>('wait', lock, ms, mode);
  /** Waits for a permit without blocking the process. */
  waitInTurn = (lock: LockDescription, mode: LockMode = 'exclusive') =>
    this.call<Grant | null>('waitInTurn', lock, mode);
  /** Keeps its event loop busy. */
  compute = (ms: number) => this.call<undefined>('compute', ms);
  release = (lock: LockDescription, grant: Grant) => this.call<boolean>('release', lock, grant);
  /** How many permits can be had at once. */
  count = (lock: LockDescription) => this.call<number>('count', lock);
  query = (namespace: string, owners?: Owners) => this.call<LockReport[]>('query', namespace, owners);
  /** Removes the files of a namespace that no live process uses. */
  clear = (namespace: string, evenNews = false) =>
    this.call<'cleared' | 'in use' | 'owes news'>('clear', namespace, evenNews);
  semValue = (name: string) => this.call<number>('semValue', name);

  async takeOne(lock: LockDescription, mode?: LockMode): Promise<Grant> {
    const grant = await this.tryAcquire(lock, mode);
    if (grant === null) throw new Error(`${lock.name} is busy`);
    return grant;
  }

  /** Takes so many permits. */
  async take(lock: LockDescription, permits: number): Promise<Grant[]> {
    const grants: Grant[] = [];
    while (grants.length < permits) grants.push(await this.takeOne(lock));
    return grants;
  }

  async releaseAll(lock: LockDescription, grants: readonly Grant[]): Promise<void> {
    for (const grant of grants) {
      if (!(await this.release(lock, grant))) throw new Error(`${lock.name} was not held`);
    }
  }

  /** From now on it gets the signal when it reaches the step for the `count`-th time. */
  async arm(step: string, signal: 'SIGKILL' | 'SIGSTOP', count = 1): Promise<void> {
    if (!(await this.call<boolean>('arm', step, constants.signals[signal], count))) {
      throw new Error(`there is no step ${step}`);
    }
  }

  /** Ends when it was killed at the step, which `action` must make it reach for the `count`-th time. */
  async dieAt(step: string, action: () => Promise<unknown>, count = 1): Promise<void> {
    await this.arm(step, 'SIGKILL', count);
    const outcome = await this.#inTime(
      Promise.race([
        this.ended,
        action().then(
          () => 'went on',
          async (error: unknown) => (error instanceof NativeFailure ? error : await this.ended),
        ),
      ]),
      step,
    );
    if (outcome instanceof NativeFailure) throw outcome;
    if (outcome === 'went on') throw new Error(`the process never came to ${step}`);
    const { signal } = await this.ended;
    if (signal !== 'SIGKILL') throw new Error(`the process ended before it came to ${step}`);
  }

  /** Stops at the step; the result of `action` comes when it is continued. */
  async stopAt<T>(step: string, action: () => Promise<T>): Promise<{ result: Promise<T> }> {
    await this.arm(step, 'SIGSTOP');
    const result = action();
    result.catch(() => {}); // whoever awaits it gets the error; nobody has to
    await this.isStopped();
    return { result };
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGSTOP');
    await this.isStopped();
  }

  /** Ends when it sleeps in line for a permit: nothing else lets its main thread sleep on a futex for long. */
  async isWaiting(): Promise<void> {
    let seen = 0;
    await eventually(() => {
      seen = readFileSync(`/proc/${this.pid}/wchan`, 'utf8').includes('futex') ? seen + 1 : 0;
      return seen >= 3;
    });
  }

  async isStopped(): Promise<void> {
    await eventually(() => /\) [Tt] /.test(readFileSync(`/proc/${this.pid}/stat`, 'utf8')));
  }

  continue(): void {
    this.#child.kill('SIGCONT');
  }

  /** SIGKILL from outside. */
  async kill(): Promise<Ended> {
    this.#child.kill('SIGKILL');
    return await this.#inTime(this.ended, 'its death');
  }

  /** Ends in an orderly way, and so leaves its namespaces. */
  async exit(): Promise<Ended> {
    void this.call('exit', 0).catch(() => {});
    return await this.#inTime(this.ended, 'its end');
  }

  #take(answer: 'ready' | { id: number; value?: unknown; error?: { message: string; errno: number } }): void {
    if (answer === 'ready') return;
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (answer.error !== undefined) pending?.reject(new NativeFailure(answer.error));
    else pending?.resolve(answer.value as never);
  }
}
