// One trial is one run of a script in a fresh process, with a folder of its own that is gone afterwards.

import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TIMEOUT_MS = 60_000;

/**
 * Where a trial may leave things: a folder for files, and a namespace for locks.
 *
 * @typedef {{ folder: string, namespace: string }} Place
 */

/**
 * Runs `trials/<script>.mjs` and gives the numbers that it reports.
 *
 * @param {{
 *   script: string,
 *   args?: object,
 *   runtime?: () => string,
 *   parentFolder?: string,
 *   serve?: (place: Place) => Promise<() => Promise<void>>,
 * }} trial - `runtime` is another `node`; `parentFolder` decides on which file system the trial's folder is; `serve`
 * starts a server for it, and gives what stops that.
 * @returns {Promise<Record<string, unknown>>} rejects when the trial fails.
 */
export async function runTrial({ script, args = {}, runtime, parentFolder = tmpdir(), serve }) {
  const place = {
    folder: mkdtempSync(join(parentFolder, 'bench-')),
    namespace: `bench-${randomUUID()}`,
  };
  let stopServer;
  try {
    stopServer = await serve?.(place);
    const execPath = runtime?.() ?? process.execPath;
    return await reportOf(script, { ...args, place }, execPath);
  } finally {
    await stopServer?.();
    rmSync(place.folder, { recursive: true, force: true });
    rmSync(`/dev/shm/sem.${place.namespace}`, { force: true }); // a plain semaphore outlives those who were killed
  }
}

function reportOf(script, args, execPath) {
  return new Promise((resolve, reject) => {
    const file = join(import.meta.dirname, `../trials/${script}.mjs`);
    // A process group of its own, so that a trial that hangs ends together with the processes that it started.
    const child = fork(file, [JSON.stringify(args)], { execPath, execArgv: [], detached: true });
    const timer = setTimeout(() => {
      process.kill(-child.pid, 'SIGKILL');
      reject(new Error(`nothing reported within ${TIMEOUT_MS / 1000} s`));
    }, TIMEOUT_MS);
    let report;
    child.on('message', (message) => (report = message));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (report?.result !== undefined) resolve(report.result);
      else reject(new Error(report?.failure ?? `ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}
