import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import express, { Router, type ErrorRequestHandler } from 'express';
import { fileLock, FileLocked, locked } from 'semlock';

/** Work that lasts until the test lets it finish. */
async function work(): Promise<void> {
  process.send?.('working');
  await once(process, 'message');
}

class Reports {
  readonly done = 'done';

  @FileLocked('report')
  async create(_req: express.Request, res: express.Response): Promise<void> {
    await work();
    res.send(this.done);
  }

  @FileLocked('report')
  async fail(_req: express.Request, _res: express.Response): Promise<void> {
    await Promise.resolve();
    throw Object.assign(new Error('no such report'), { status: 418 });
  }
}

const app = express();
const reports = new Reports();

const everything = Router();
everything.use(fileLock());
everything.post('/:name', async (req, res) => {
  await work();
  res.send(req.lock?.released === false ? 'done' : 'not locked');
});

app.use('/everything', everything);
app.post('/middleware/:name', fileLock({ name: (req) => req.params.name }), async (_req, res) => {
  await work();
  res.send('done');
});
app.post(
  '/wrapped',
  locked('report', async (_req, res) => {
    await work();
    res.end('done');
  }),
);
app.post('/method', (req, res) => reports.create(req, res));
app.post('/fails', reports.fail.bind(reports));

const answerError: ErrorRequestHandler = (error: { status: number }, _req, res, _next) => {
  res.status(error.status).send('the error handler');
};
app.use(answerError);

const server = app.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.once('disconnect', () => process.exit());
