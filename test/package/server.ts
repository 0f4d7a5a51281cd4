// A consumer's server in a process of its own. Its handlers work until the test lets them finish, so that a lock is held
// for exactly as long as a test wants.

import { fork, type ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';

import { QUICK_START } from '../../.config/quick-start.js';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export class Server {
  readonly #child: ChildProcess;
  readonly #messages: AsyncIterator<unknown[]>;
  #message: Promise<unknown> | undefined;
  #port = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    // From now on, so that no message is missed; ends when the process does.
    this.#messages = on(child, 'message', { close: ['exit'] });
  }

  /** Starts a program that listens, and resolves when it does. */
  static async start(program: string, namespace: string): Promise<Server> {
    const server = new Server(fork(program, { env: { ...process.env, ...QUICK_START, SEMLOCK_NAMESPACE: namespace } }));
    const { port } = (await server.#nextMessage()) as { port: number };
    server.#port = port;
    return server;
  }

  async post(path: string): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, { method: 'POST' });
    return { status: response.status, body: await response.text() };
  }

  /**
   * Posts, and resolves when the handler is at work; call what it gives to let it finish. Asks again when it is told
   * busy, because an answer can reach its client a moment before the server's process has released the lock.
   */
  async postAndWork(path: string): Promise<() => Promise<Answer>> {
    const deadline = Date.now() + 5_000;
    for (;;) {
      const answer = this.post(path);
      const early = await Promise.race([answer, this.#nextMessage().then(() => undefined)]);
      if (early === undefined) {
        return () => {
          this.#child.send('finish');
          return answer;
        };
      }
      if (early.status !== 503 || Date.now() > deadline) {
        throw new Error(`${path} answered ${early.status} without any work: ${early.body}`);
      }
    }
  }

  /** Lets the program end by itself, so that it can leave its locks in order. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }

  /** The same message for all who ask before it has come. */
  #nextMessage(): Promise<unknown> {
    this.#message ??= this.#messages.next().then(({ done, value }) => {
      this.#message = undefined;
      if (done) throw new Error('the server ended');
      return (value as unknown[])[0];
    });
    return this.#message;
  }
}
