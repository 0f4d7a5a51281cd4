// A run of several processes with a lock of some store, while something goes wrong: what they wrote down, and whether it is
// right. What goes wrong is the test's.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { check, type Entry } from './check.js';

const CLIENT = fileURLToPath(new URL('client.mjs', import.meta.url));

/** How long a run lasts, in seconds; `SEMLOCK_RUN_SECONDS=20` for a long one. */
export const SECONDS = Number(process.env['SEMLOCK_RUN_SECONDS'] ?? 5);
/** How much longer it goes on where there were few grants by then, because the machine or what goes wrong leaves no time. */
const MORE_SECONDS = 40;
/** How long a test with a run may take, in milliseconds. */
export const timeout = (2 * SECONDS + MORE_SECONDS + 60) * 1000;
/** How many processes take part; `SEMLOCK_RUN_CLIENTS=8` for a long run. */
export const CLIENTS = Number(process.env['SEMLOCK_RUN_CLIENTS'] ?? 4);

/** Milliseconds of the clock that the processes use. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

export interface RunOptions {
  /** For makeStore() in each process; of the number that it is given. Without a lease, who is stopped loses nothing. */
  readonly store: (client: number) => { readonly kind: string; readonly leaseMs?: number } & Record<string, unknown>;
  readonly permits?: number;
  readonly seconds?: number;
  /** How many grants it takes, at least; the run goes on for them, and it is a problem where there are fewer. */
  readonly grants?: number;
  readonly clients?: number;
  /** How long a hold lasts at most. */
  readonly holdMs?: number;
  /** How long a wait without a signal lasts at most. */
  readonly patience?: number;
}

type Noted = Entry & {
  readonly id: string;
  readonly failed?: string;
  readonly why?: string;
  readonly blocked?: boolean;
};

export class Run {
  readonly entries = new Map<string, Noted>();
  readonly namespace = randomUUID();
  readonly #options: RunOptions;
  readonly #clients: { child: ChildProcess; name: string; number: number }[] = [];
  readonly #exits: Promise<unknown>[] = [];
  readonly #stops: { client: string; from: number; to: number }[] = [];
  readonly #register = { value: 0, token: 0 };
  readonly #unexpected: string[] = [];
  #made = 0;

  private constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Starts the processes, has `fault` happen among them, waits until all have ended, and checks what they did. */
  static async of(options: RunOptions, fault: (run: Run) => Promise<void> = () => Promise.resolve()): Promise<Run> {
    const run = new Run(options);
    try {
      const { clients = CLIENTS } = options;
      await Promise.all(Array.from({ length: clients }, () => run.startClient()));
      const enough = run.#enough();
      await Promise.race([fault(run).then(() => enough), enough]);
      run.#over = true;
      await run.#end();
    } finally {
      for (const { child } of run.#clients) child.kill('SIGKILL');
      await Promise.all(run.#exits);
    }
    return run;
  }

  #over = false;

  /** Whether the time of the run is over, so that nothing more should go wrong. */
  get isOver(): boolean {
    return this.#over;
  }

  /** Has something go wrong again and again, until the time of the run is over. */
  async every(ms: number, act: () => unknown): Promise<void> {
    for (;;) {
      await sleep(ms);
      if (this.#over) return;
      await act();
    }
  }

  /** Waits until the lock was acquired a few times: on a busy machine it might not be, between two faults. */
  async granted(): Promise<void> {
    const enough = this.grants.length + 3;
    for (const end = now() + 10_000; !this.#over && this.grants.length < enough && now() < end;) await sleep(50);
  }

  /** What is wrong, in sentences. */
  get problems(): string[] {
    const end = now();
    const { permits = 1, grants = 1 } = this.#options;
    const history = [...this.entries.values()].map((entry) => this.#asSeenFromOutside(entry));
    const few = this.grants.length < grants ? [`there were ${this.grants.length} grants, not ${grants}`] : [];
    return [...this.#unexpected, ...few, ...check(history, { permits, end })];
  }

  get grants(): Noted[] {
    return [...this.entries.values()].filter(({ got }) => got !== undefined).sort((a, b) => a.got! - b.got!);
  }

  /** What went wrong with requests, apart from those that gave up. */
  get failures(): string[] {
    const failures = [...this.entries.values()].flatMap(({ failed }) => failed ?? []);
    return failures.filter((failure) => !/_TIMEOUT|aborted due to timeout/.test(failure));
  }

  get clientCount(): number {
    return this.#clients.length;
  }

  /** A process that has the lock at this moment, as far as is known here; otherwise any process. */
  holder(): number {
    const holding = [...this.entries.values()].filter((entry) => entry.got !== undefined && !isOver(entry));
    const names = new Set(holding.map(({ client }) => client));
    const at = this.#clients.findIndex(({ name }) => names.has(name));
    return at < 0 ? Math.floor(Math.random() * this.#clients.length) : at;
  }

  async startClient(): Promise<void> {
    const { store, permits = 1, seconds = SECONDS, holdMs = 5, patience = 10_000 } = this.#options;
    const number = this.#made;
    const name = `client ${number}`;
    this.#made += 1;
    const { namespace } = this;
    const how = {
      name,
      seed: number + 1,
      store: store(number),
      namespace,
      permits,
      seconds: seconds + 120, // until it is told to end
      holdMs,
      patience,
    };
    const child = fork(CLIENT, [JSON.stringify(how)], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let errors = '';
    child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
    const exited = once(child, 'exit').then(() => {
      const { exitCode: code } = child;
      if (code !== 0 && code !== null) this.#unexpected.push(`${name} ended with ${code}: ${errors.slice(-500)}`);
    });
    this.#exits.push(exited);
    const ready = new Promise<void>((resolve) => {
      child.on('message', (message: Message) => {
        if ('ready' in message) resolve();
        else if ('register' in message) this.#use(child, message.register);
        else if ('stall' in message) this.#stops.push({ client: name, ...message.stall });
        else this.entries.set(message.entry.id, { ...this.entries.get(message.entry.id), ...message.entry });
      });
    });
    this.#clients.push({ child, name, number });
    await Promise.race([ready, exited]);
  }

  /** Ends a process as the kernel does, and starts another in its place. */
  async kill(at: number): Promise<void> {
    const { child, name } = this.#clients[at]!;
    this.#stops.push({ client: name, from: now(), to: Infinity });
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    this.#clients.splice(at, 1);
  }

  /** Stops a process; with a lease, for longer than that. */
  async pause(at: number, ms: number): Promise<void> {
    const { child, name, number } = this.#clients[at]!;
    const stop = { client: name, from: now(), to: Infinity };
    child.kill('SIGSTOP');
    await sleep(ms);
    stop.to = now();
    if (this.#options.store(number).leaseMs !== undefined) this.#stops.push(stop);
    child.kill('SIGCONT');
  }

  /** Has the main thread of a process do nothing else for that long, the next time that it has the lock. */
  block(at: number, ms: number): void {
    const { child } = this.#clients[at]!;
    if (child.connected) child.send({ do: 'block', ms });
  }

  async #enough(): Promise<void> {
    const { seconds = SECONDS, grants = 1 } = this.#options;
    await sleep(seconds * 1000);
    for (const end = now() + MORE_SECONDS * 1000; this.grants.length < grants && now() < end;) await sleep(100);
  }

  async #end(): Promise<void> {
    for (const { child } of this.#clients) if (child.connected) child.send({ do: 'end' });
    const late = AbortSignal.timeout(30_000);
    const running = this.#clients.filter(({ child }) => (child.exitCode ?? child.signalCode) === null);
    const all = Promise.all(running.map(({ child }) => once(child, 'exit', { signal: late })));
    await all.catch(() => this.#unexpected.push('a process did not end when it was told to'));
  }

  #use(child: ChildProcess, { call, id, token, write }: RegisterRequest): void {
    const register = this.#register;
    const written = token >= register.token;
    register.token = Math.max(register.token, token);
    if (written && write !== undefined) {
      register.value = write;
      this.entries.set(id, { ...this.entries.get(id)!, read: write - 1, wrote: write });
    }
    if (child.connected) child.send({ call, value: register.value }, () => undefined);
  }

  /** A process that is killed, or stopped beyond its lease, does nothing under its lock from then on. */
  #asSeenFromOutside(entry: Noted): Noted {
    const stop = this.#stops.find(
      ({ client, from, to }) =>
        client === entry.client && (entry.got ?? Infinity) < from + 1 && until(entry) > Math.min(from, to),
    );
    return stop === undefined ? entry : { ...entry, gaveBack: Math.max(stop.from, entry.got ?? 0) };
  }
}

const until = ({ gaveBack = Infinity, lost = Infinity }: Entry) => Math.min(gaveBack, lost);
const isOver = (entry: Entry) => until(entry) < Infinity;

interface RegisterRequest {
  readonly call: number;
  readonly id: string;
  readonly token: number;
  readonly write?: number;
}

type Message =
  | { readonly ready: true }
  | { readonly register: RegisterRequest }
  | { readonly entry: Noted }
  /** The machine did not let the process run, as if it had been stopped. */
  | { readonly stall: { readonly from: number; readonly to: number } };
