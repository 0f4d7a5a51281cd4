// Redis servers for tests: on a free port of 127.0.0.1, in a folder of their own, that end with the test.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { inject } from 'vitest';

import { freePort } from '../free-port.js';

const START_MS = 10_000;

export class RedisServer {
  readonly port: number;
  readonly folder: string;
  readonly #options: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(port: number, folder: string, options: readonly string[]) {
    this.port = port;
    this.folder = folder;
    this.#options = options;
  }

  /** @param options - as on its command line; without persistence, unless they say so. */
  static async start(options: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), mkdtempSync(join(tmpdir(), 'semlock-redis-')), options);
    await server.start();
    return server;
  }

  /** The one of the run, which nothing happens to, when it grants with leases of that length. */
  static async shared(leaseMs: number): Promise<Pick<RedisServer, 'port' | 'url' | 'command'>> {
    const server = new RedisServer(inject('redisPort'), '', []);
    await server.isOlderThan(leaseMs);
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const fixed = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', ''];
    const child = spawn('redis-server', [...fixed, ...this.#options], { stdio: 'ignore' });
    this.#process = child;
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
    });
    failed.catch(() => undefined);
    await Promise.race([failed, this.#answers()]);
  }

  /** Nothing is granted before, because somebody may count on what an earlier run of the server has granted. */
  async isOlderThan(leaseMs: number): Promise<void> {
    for (;;) {
      const seconds = /uptime_in_seconds:(\d+)/.exec(await this.command('INFO', 'server'))?.[1] ?? 0;
      if (Number(seconds) * 1000 >= leaseMs + 1000) return;
      await sleep(50);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** Ends it as it is; what it has is not saved. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A command, by a connection of its own; the answer as the protocol has it. */
  command(...parts: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.write(`*${parts.length}\r\n${bulk(parts)}`);
      let text = '';
      socket.setEncoding('utf8');
      socket.on('data', (data: string) => {
        text += data;
        socket.end();
      });
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
  }

  async #answers(): Promise<void> {
    for (const end = Date.now() + START_MS; ;) {
      try {
        if ((await this.command('PING')).startsWith('+PONG')) return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
      await sleep(10);
    }
  }
}

function bulk(parts: readonly string[]): string {
  return parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('');
}
