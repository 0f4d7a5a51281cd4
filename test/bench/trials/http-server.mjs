// The server of an HTTP trial. It tells its port, and at each message the processor time that it has used.

import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import express from 'express';

import { fileLock } from '../../../dist/index.js';

const { framework, lock, handler, place } = JSON.parse(process.argv[2]);
const namespace = place.namespace;
const file = join(place.folder, 'served');
await writeFile(file, 'x'.repeat(4096));

const handlers = {
  light: (_req, res) => res.end('ok'),
  file: async (_req, res) => res.end(await readFile(file)),
};

const locks = {
  none: undefined,
  empty: () => (_req, _res, next) => next(),
  free: () => fileLock('bench', { namespace }),
  keyed: () => fileLock({ namespace, name: (req) => `file:${req.url}` }),
  busy: () => fileLock('bench', { namespace }),
};

const middleware = locks[lock]?.();
const frameworks = { express: expressApp, http: plainHandler };
const server = createServer(frameworks[framework](middleware, handlers[handler]));
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('message', () => process.send(process.cpuUsage()));
process.on('SIGTERM', () => process.exit());

function expressApp(middleware, handle) {
  const app = express();
  app.get('/files/:name', ...(middleware === undefined ? [] : [middleware]), handle);
  return app;
}

function plainHandler(middleware, handle) {
  if (middleware === undefined) return handle;
  return (req, res) =>
    middleware(req, res, (error) => {
      if (error !== undefined) throw error;
      return handle(req, res);
    });
}
