// Has the sessions of this thread renewed: by a worker thread with a connection of its own; and here, as long as that has not
// started or does not reach the server, and where it cannot be had (no address that can be cloned, no permission, a bundler
// that changed the source so that it does not run).

import { Worker } from 'node:worker_threads';

import { clearTimeout, setTimeout } from '../../timers.js';
import type { Backend, SessionId } from './backend.js';
import { renewalLoop, type LoopOrder, type LoopReport } from './renewal-loop.js';

interface Kept {
  readonly session: SessionId;
  readonly leaseMs: number;
  readonly times: BigInt64Array<SharedArrayBuffer>;
  readonly report: (report: LoopReport) => void;
}

export class Renewals {
  readonly #backend: Backend;
  readonly #kept = new Map<string, Kept>();
  #worker: Worker | undefined;
  #here: ((order: LoopOrder) => void) | undefined;
  #isStarted = false;
  #isClosed = false;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Renews the session until it is not alive, or to be forgotten; `report` is called after each try. */
  keep(kept: Kept): void {
    if (this.#isClosed) return;
    this.#start();
    this.#kept.set(kept.session.sid, kept);
    this.#order({ do: 'keep', session: kept.session, leaseMs: kept.leaseMs, times: kept.times });
  }

  renewNow(sid: string): void {
    this.#order({ do: 'renew', sid });
  }

  acknowledge(sid: string, tokens: readonly number[]): void {
    this.#order({ do: 'acknowledge', sid, tokens });
  }

  forget(sid: string): void {
    if (this.#kept.delete(sid)) this.#order({ do: 'forget', sid });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    this.#stopHere();
    this.#kept.clear();
    await worker?.terminate();
  }

  #order(order: LoopOrder): void {
    this.#worker?.postMessage(order);
    this.#here?.(order);
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#startWorker();
    this.#startHere();
  }

  #startWorker(): void {
    const how = this.#backend.worker;
    if (how === undefined) return;
    try {
      // The options of this process (loaders, inspectors) are not the thread's: it runs nothing but this.
      const worker = new Worker(sourceOf(how.source), { eval: true, workerData: how.options, execArgv: [] });
      worker.unref();
      worker.on('message', (report: LoopReport) => {
        if (this.#worker !== worker) return;
        if (report.failed === undefined) this.#stopHere();
        else this.#startHere();
        this.#tell(report);
      });
      const ended = (): void => {
        if (this.#worker !== worker) return;
        this.#worker = undefined;
        this.#startHere();
      };
      worker.on('error', ended);
      worker.on('exit', ended);
      this.#worker = worker;
    } catch {
      // Then it is done here.
    }
  }

  #startHere(): void {
    if (this.#here !== undefined) return;
    const backend = this.#backend;
    const connection: Pick<Backend, 'renew' | 'close'> = {
      renew: (...args) => backend.renew(...args),
      close: () => Promise.resolve(),
    };
    const here = renewalLoop(connection, (report) => this.#tell(report), { setTimeout, clearTimeout });
    for (const { session, leaseMs, times } of this.#kept.values()) {
      here({ do: 'keep', session, leaseMs, times });
      here({ do: 'renew', sid: session.sid });
    }
    this.#here = here;
  }

  #stopHere(): void {
    this.#here?.({ do: 'close' });
    this.#here = undefined;
  }

  #tell(report: LoopReport): void {
    const kept = this.#kept.get(report.sid);
    if (report.renewal?.alive === false) this.#kept.delete(report.sid);
    kept?.report(report);
  }
}

/** What the thread runs. Bundlers may have names kept by a function `__name`, which is not there. */
function sourceOf(connect: string): string {
  return `
    const { parentPort, workerData } = require('node:worker_threads');
    const __name = (named) => named;
    const connection = (${connect})(workerData, require);
    const report = (what) => parentPort.postMessage(what);
    parentPort.on('message', (${renewalLoop.toString()})(connection, report, { setTimeout, clearTimeout }));
  `;
}
