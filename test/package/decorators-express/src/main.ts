import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import {
  attachControllers,
  Container,
  Controller,
  ERROR_MIDDLEWARE,
  Params,
  Post,
  Request as Req,
  Response as Res,
  type ErrorMiddleware,
} from '@decorators/express';
import express, { type NextFunction, type Request, type Response } from 'express';
import { FileLocked } from 'semlock';

/** Work that lasts until the test lets it finish. */
async function work(): Promise<void> {
  process.send?.('working');
  await once(process, 'message');
}

@Controller('/')
class Reports {
  readonly done = 'done';

  @FileLocked('report')
  @Post('/above')
  async above(@Res() _res: Response, @Req() _req: Request): Promise<string> {
    await work();
    return this.done;
  }

  @Post('/below/:id')
  @FileLocked({ name: (req) => `report:${req.url}` })
  async below(@Params('id') _id: string, @Res() res: Response): Promise<void> {
    await work();
    res.send(this.done);
  }

  @Post('/later')
  @FileLocked({ name: async () => Promise.resolve('report') })
  async later(@Res() _res: Response): Promise<string> {
    await work();
    return this.done;
  }

  @Post('/fails')
  @FileLocked('report')
  async fails(@Res() _res: Response): Promise<void> {
    await Promise.reject(Object.assign(new Error('no such report'), { status: 418 }));
  }
}

class AnswerError implements ErrorMiddleware {
  use(error: Error & { status?: number }, _req: Request, res: Response, _next: NextFunction): void {
    res.status(error.status ?? 500).send('the error handler');
  }
}

Container.provide([{ provide: ERROR_MIDDLEWARE, useClass: AnswerError }]);
const app = express();
await attachControllers(app, [Reports]);
const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.once('disconnect', () => process.exit());
