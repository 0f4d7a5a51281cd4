import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { FileLocked, Locked, SemlockError } from 'semlock';

/** Work that lasts until the test lets it finish. */
async function work(): Promise<void> {
  process.send?.('working');
  await once(process, 'message');
}

class Reports {
  readonly done = 'done';

  @FileLocked('report')
  async create(_req: IncomingMessage, res: ServerResponse): Promise<void> {
    await work();
    res.end(this.done);
  }

  @FileLocked({ name: (req: IncomingMessage) => `report:${req.url}` })
  static async create(res: ServerResponse): Promise<void> {
    await work();
    res.end('done');
  }

  @FileLocked('report')
  async fail(_req: IncomingMessage, _res: ServerResponse): Promise<void> {
    await Promise.reject(Object.assign(new Error('no such report'), { status: 418 }));
  }

  @Locked(function (this: Reports, year: number) {
    return `${this.done}:${year}`;
  })
  async rewrite(_year: number): Promise<string> {
    await work();
    return this.done;
  }

  @Locked((year: number) => `static:${year}`, { permits: 1 })
  static async rewrite<T>(_year: number, result: T): Promise<T> {
    await work();
    return result;
  }
}

const reports = new Reports();
const routes: Record<string, (req: IncomingMessage, res: ServerResponse) => Promise<void>> = {
  '/method': (req, res) => reports.create(req, res),
  '/static-method': (_req, res) => Reports.create(res),
  '/locked': async (_req, res) => void res.end(await reports.rewrite(2024)),
  '/static-locked': async (_req, res) => void res.end(await Reports.rewrite(2024, 'done')),
  '/fails': (req, res) => reports.fail(req, res),
};

const server = createServer((req, res) => {
  routes[req.url ?? '']?.(req, res).catch((error: unknown) => {
    const busy = error instanceof SemlockError && error.code === 'ERR_SEMLOCK_BUSY';
    res.statusCode = busy ? 503 : (error as { status: number }).status;
    res.end(busy ? 'busy' : 'the error handler');
  });
});
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.once('disconnect', () => process.exit());
