import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { Controller, Post, Server } from '@overnightjs/core';
import type { ErrorRequestHandler, NextFunction, Request, Response } from 'express';
import { FileLocked } from 'semlock';

/** Work that lasts until the test lets it finish. */
async function work(): Promise<void> {
  process.send?.('working');
  await once(process, 'message');
}

@Controller('')
class Reports {
  readonly done = 'done';

  @FileLocked('report')
  @Post('above')
  async above(_req: Request, res: Response): Promise<void> {
    await work();
    res.send(this.done);
  }

  @Post('below/:id')
  @FileLocked({ name: (req) => `report:${req.params.id}` })
  async below(_req: Request, res: Response): Promise<void> {
    await work();
    res.send(this.done);
  }

  @Post('later')
  @FileLocked({ name: async () => Promise.resolve('report') })
  async later(_req: Request, res: Response): Promise<void> {
    await work();
    res.send(this.done);
  }

  // It runs on Express 4, which hears of what is thrown at once and of what next is given, and not of rejections.
  @Post('fails')
  @FileLocked({ name: async () => Promise.resolve('report') })
  fails(_req: Request, _res: Response, _next: NextFunction): void {
    throw Object.assign(new Error('no such report'), { status: 418 });
  }
}

class App extends Server {
  constructor() {
    super();
    this.addControllers([new Reports()]);
    const answerError: ErrorRequestHandler = (error: { status: number }, _req, res, _next) => {
      res.status(error.status).send('the error handler');
    };
    this.app.use(answerError);
    const server = this.app.listen(0, '127.0.0.1', () => {
      process.send?.({ port: (server.address() as AddressInfo).port });
    });
  }
}

new App();
process.once('disconnect', () => process.exit());
