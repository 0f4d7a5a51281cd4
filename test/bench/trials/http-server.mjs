// The server of an HTTP trial, which serves all sides: each on a port of its own. It tells the ports, and after each
// block of requests what that has cost it.

import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';

import express from 'express';

import { fileLock } from '../../../dist/index.js';
import { now } from '../harness/in-trial.mjs';

const { framework, sides, block, place } = JSON.parse(process.argv[2]);
const namespace = place.namespace;
const file = join(place.folder, 'served');
await writeFile(file, 'x'.repeat(4096));

const handlers = {
  light: (_req, res) => res.end('ok'),
  file: async (_req, res) => res.end(await readFile(file)),
};

const locks = {
  none: () => undefined,
  empty: () => (_req, _res, next) => next(),
  free: () => fileLock('free', { namespace }),
  keyed: () => fileLock({ namespace, name: (req) => `file:${req.url}` }),
  busy: () => fileLock('busy', { namespace }),
};

const frameworks = { express: expressApp, http: plainHandler };

const ports = await Promise.all(
  sides.map(({ lock, handler }) => serve(frameworks[framework](locks[lock](), handlers[handler]))),
);
process.send({ ports });
process.on('disconnect', () => process.exit());

/** Listens; gives the port. */
function serve(listener) {
  let begun = 0;
  let start;
  const server = createServer({ keepAliveTimeout: 0 }, (req, res) => {
    if (begun === 0) start = { cpu: process.cpuUsage(), time: now() };
    begun += 1;
    if (begun === block) {
      begun = 0;
      const { user, system } = process.cpuUsage(start.cpu);
      process.send({ cpuNs: (user + system) * 1e3, ns: now() - start.time });
    }
    listener(req, res);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
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
