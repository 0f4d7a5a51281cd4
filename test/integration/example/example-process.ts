// Starts the built example as its users do, as a process of its own, and talks to it over HTTP.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../example-app/dist/main.js', import.meta.url));

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** A run of the example; it leads a process group of its own. */
export interface ExampleRun {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  /** What it has printed so far. */
  output(): string;
}

/** Starts it on a free port, unless `env` says otherwise. Whoever starts it ends it. */
export function runExample(env: Record<string, string>, nodeOptions: string[] = []): ExampleRun {
  const child = spawn(process.execPath, [...nodeOptions, MAIN], {
    detached: true,
    env: { ...process.env, PORT: '0', WORKERS: '', LOCK: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, output, errors }));
  if (child.pid === undefined) throw new Error('the example did not start');
  return { pid: child.pid, ended, output: () => output };
}

/** The example, ready for requests. */
export interface Example extends ExampleRun {
  readonly url: string;
  readonly folder: string;
  /** Sends requests at once, each on a connection of its own, and waits for all answers. */
  atOnce(count: number, path: string | ((index: number) => string), init?: RequestInit): Promise<Answer[]>;
  /** Sends one request; as long as the answer is busy, sends it again. */
  whenFree(path: string, init?: RequestInit): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** The pid of the worker that answered. */
  readonly worker: string | null;
  /** From the request's arrival at the worker until its answer was here. */
  readonly afterMs: number;
}

/** Starts the example and waits until all workers listen. */
export async function startExample(env: Record<string, string>): Promise<Example> {
  const run = runExample(env);
  await until(() => run.output().includes('until Ctrl-C'), 'the example listens');
  const url = /http:\/\/[\d.]+:\d+/.exec(run.output())![0];
  const folder = /files are in (\S+),/.exec(run.output())![1]!;

  async function send(path: string, init?: RequestInit): Promise<Answer> {
    const response = await fetch(url + path, init);
    const afterMs = Date.now() - Number(response.headers.get('x-arrived'));
    const worker = response.headers.get('x-worker');
    return { status: response.status, text: await response.text(), headers: response.headers, worker, afterMs };
  }

  return {
    ...run,
    url,
    folder,
    atOnce(count, path, init) {
      const paths = Array.from({ length: count }, (_, index) => (typeof path === 'string' ? path : path(index)));
      return Promise.all(paths.map((each) => send(each, init)));
    },
    async whenFree(path, init) {
      let answer: Answer | undefined;
      await until(async () => (answer = await send(path, init)).status !== 503, `${path} is free`);
      return answer!;
    },
  };
}

/** Starts it for one test and ends it afterwards, as Ctrl-C does. */
export async function exampleForTest(env: Record<string, string>): Promise<Example> {
  const example = await startExample(env);
  onTestFinished(() => stopExample(example));
  return example;
}

/** Ends it and waits until it is gone; does nothing when it is gone already. */
export async function stopExample(example: ExampleRun): Promise<void> {
  sendSignal(example.pid, 'SIGINT');
  await example.ended;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string, withinMs = 10_000) {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
