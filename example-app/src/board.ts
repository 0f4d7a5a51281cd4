// Which requests of the page are at work at this moment, in all workers, and which still wait for their lock: the page draws
// them before they are answered. A file without content stands for each, in a folder that the workers share, and its name
// says everything. An app of your own needs none of this: locks.query() tells which process has a lock, and which ones wait.

import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Request, RequestHandler } from 'express';

/** A request that has no answer yet. Times are milliseconds of the clock. */
interface Unanswered {
  /** What the page calls it. */
  readonly request: string;
  readonly worker: number;
  readonly arrived: number;
  /** When its handler began, which is when it had the lock. */
  readonly from?: number;
}

declare module 'express-serve-static-core' {
  interface Locals {
    /** Called when the handler begins. */
    beginsWork?: () => void;
  }
}

export class Board {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** Stands before the locks, so that it knows of the requests that wait. */
  readonly watch: RequestHandler = (req, res, next) => {
    const request = numberOf(req);
    if (request !== undefined) {
      const arrived = `${request}.${process.pid}.${Date.now()}`;
      let file = join(this.#folder, arrived);
      writeFileSync(file, '');
      res.locals.beginsWork = () => {
        const begun = join(this.#folder, `${arrived}.${Date.now()}`);
        renameSync(file, begun);
        file = begun;
      };
      res.once('close', () => rmSync(file, { force: true }));
    }
    next();
  };

  list(): Unanswered[] {
    return readdirSync(this.#folder).map((name) => {
      const [request = '', worker, arrived, from] = name.split('.');
      return { request, worker: Number(worker), arrived: Number(arrived), ...(from && { from: Number(from) }) };
    });
  }
}

function numberOf(req: Request): string | undefined {
  const given = req.get('X-Request') ?? '';
  return /^[\d-]{1,40}$/.test(given) ? given : undefined;
}
