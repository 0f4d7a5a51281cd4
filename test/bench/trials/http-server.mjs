// The server of an HTTP trial. It tells its port, and in the end what the requests after the first ones have cost it.

import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import express from 'express';

import { fileLock } from '../../../dist/index.js';
import { now } from '../harness/in-trial.mjs';

const { framework, lock, handler, warmUp, requests, place } = JSON.parse(process.argv[2]);
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
const listener = frameworks[framework](middleware, handlers[handler]);
const server = createServer((req, res) => {
  count();
  listener(req, res);
});
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('SIGTERM', () => process.exit());

let begun = 0;
let start;

/** Measures from within one stream of requests: where connections open or close, Node.js compiles its code anew. */
function count() {
  begun += 1;
  if (begun === warmUp) start = { cpu: process.cpuUsage(), time: now() };
  if (begun !== warmUp + requests) return;
  const { user, system } = process.cpuUsage(start.cpu);
  process.send({ cpuNs: ((user + system) * 1e3) / requests, perSecond: (requests * 1e9) / (now() - start.time) });
}

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
