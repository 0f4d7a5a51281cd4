// What the compiler says of the HTTP forms; nothing here is called. The suite fails in the type check, not when it runs.

import { createServer, type IncomingMessage, type RequestListener } from 'node:http';

import connect from 'connect';
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { describe, expectTypeOf, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import type { Held } from '../../../src/hold.js';

describe('The types of the HTTP forms', () => {
  it('fit where Express, Connect and node:http take a handler', () => {
    expectTypeOf(fileLock()).toExtend<RequestHandler>();
    expectTypeOf(fileLock()).toExtend<connect.NextHandleFunction>();
    expectTypeOf(locked('a', () => undefined)).toExtend<RequestHandler>();
    expectTypeOf(locked('a', () => undefined)).toExtend<connect.NextHandleFunction>();
    expectTypeOf(locked('a', () => undefined)).toExtend<RequestListener>();
  });

  it('give callbacks the request of Express, or the one that they name', () => {
    /* eslint-disable @typescript-eslint/no-misused-promises -- Connect and node:http await no handler of any kind. */
    const routes = () => {
      const app = express();
      app.put('/files/:name', fileLock({ name: (req) => `file:${req.path}` }), (req) => {
        expectTypeOf(req.lock).toEqualTypeOf<Held>();
        expectTypeOf(req.params).toEqualTypeOf<{ name: string }>();
      });
      app.post(
        '/report',
        locked('report', async (req, res) => {
          expectTypeOf(req.lock).toEqualTypeOf<Held>();
          await Promise.resolve();
          res.json({ path: req.path });
        }),
      );
      app.use(fileLock({ onBusy: (req, res, _next, { name }) => res.status(409).json({ name, path: req.path }) }));
      app.use(
        locked('a', (_req: Request, res: Response, next: NextFunction) => (res.headersSent ? undefined : next())),
      );
      connect().use(fileLock({ name: (req: IncomingMessage) => req.url ?? '/' }));
      createServer(
        locked(
          (req: IncomingMessage) => req.url ?? '/',
          (_req, res) => res.end(),
        ),
      );
    };
    expectTypeOf(routes).toBeFunction();
  });

  it('refuse options that there are not', () => {
    const wrong = () => {
      // @ts-expect-error -- An unknown option.
      fileLock({ timeout: 5 });
      // @ts-expect-error -- The name is the first argument.
      locked('a', () => undefined, { name: 'b' });
    };
    expectTypeOf(wrong).toBeFunction();
  });
});
