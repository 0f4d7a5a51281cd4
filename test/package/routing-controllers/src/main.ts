import 'reflect-metadata';

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import type { Request, Response } from 'express';
import { createExpressServer, Controller, HttpError, Param, Post, Req, Res } from 'routing-controllers';
import { FileLocked } from 'semlock';

/** Work that lasts until the test lets it finish. */
async function work(): Promise<void> {
  process.send?.('working');
  await once(process, 'message');
}

@Controller()
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
  async below(@Param('id') _id: string, @Req() _req: Request, @Res() res: Response): Promise<Response> {
    await work();
    return res.send(this.done);
  }

  @Post('/later')
  @FileLocked({ name: async () => Promise.resolve('report') })
  async later(@Res() _res: Response): Promise<string> {
    await work();
    return this.done;
  }

  @Post('/fails')
  @FileLocked('report')
  async fails(@Res() _res: Response): Promise<string> {
    throw await Promise.resolve(new HttpError(418, 'the error handler'));
  }
}

const app = createExpressServer({ controllers: [Reports] }) as {
  listen(port: number, host: string, listening: () => void): { address(): AddressInfo };
};
const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ port: server.address().port });
});
process.once('disconnect', () => process.exit());
