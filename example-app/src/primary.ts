// The primary serves nothing itself: it starts the workers, replaces one that dies, and ends them all in good order.

import cluster, { type Worker } from 'node:cluster';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Settings } from './settings.js';
import { welcome } from './welcome.js';

/** Ctrl-C under npm comes twice: from the terminal, and passed on by npm. */
const ONCE_MS = 300;

export function runPrimary(settings: Settings): void {
  const folder = mkdtempSync(join(tmpdir(), 'semlock-example-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const env = {
    EXAMPLE_FOLDER: folder,
    // Only workers of the same folder share the locks: a second example on another port has its own.
    SEMLOCK_NAMESPACE: process.env['SEMLOCK_NAMESPACE'] ?? folder,
  };

  const listening = new Set<Worker>();
  let stoppedAt: number | undefined;

  cluster.on('listening', (worker, { port }) => {
    const isFirst = listening.size === 0;
    listening.add(worker);
    if (welcomed) return;
    // The others start when the first one has the port: if it is taken, one worker says so and not four.
    if (isFirst) for (let started = 1; started < settings.workers; started++) cluster.fork(env);
    if (listening.size === settings.workers) {
      welcomed = true;
      console.log(welcome(settings, port, folder));
    }
  });
  let welcomed = false;

  cluster.on('exit', (worker, code, signal) => {
    const wasListening = listening.delete(worker);
    if (stoppedAt !== undefined) return;
    if (wasListening) {
      console.log(`${worker.process.pid} ended (${signal || code}), another worker takes its place`);
      cluster.fork(env);
    } else {
      // It could not start and has said why. The next one could not either.
      process.exitCode = code === 0 ? 1 : code;
      stop();
    }
  });

  function stop(): void {
    stoppedAt = Date.now();
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stoppedAt === undefined) stop();
      // Asked again: do not wait for the work in progress. The workers exit when the primary is gone.
      else if (Date.now() - stoppedAt > ONCE_MS) process.exit(1);
    });
  }

  cluster.fork(env);
}
