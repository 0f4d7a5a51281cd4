// Decorators: a controller class says at each method which lock it needs.

import { Router, type Request, type Response } from 'express';
import { FileLocked } from 'semlock';

import { Document } from '../document.js';
import { about, append, check, read, remove } from '../handlers.js';
import { locking } from '../locking.js';

export class ReportController {
  @FileLocked('report', locking)
  async append(req: Request, res: Response): Promise<void> {
    await append(req, res);
  }

  @FileLocked('report', locking)
  async read(req: Request, res: Response): Promise<void> {
    await read(req, res);
  }

  @FileLocked('report', locking)
  async check(req: Request, res: Response): Promise<void> {
    await check(req, res);
  }

  @FileLocked('report', locking)
  async remove(req: Request, res: Response): Promise<void> {
    await remove(req, res);
  }
}

/** Plain Express has no controllers; this does what NestJS and the like do from their own decorators. */
export function report(folder: string): Router {
  const controller = new ReportController();
  return Router()
    .use(about(new Document(folder)))
    .post('/', (req, res) => controller.append(req, res))
    .get('/', (req, res) => controller.read(req, res))
    .get('/check', (req, res) => controller.check(req, res))
    .delete('/', (req, res) => controller.remove(req, res));
}
