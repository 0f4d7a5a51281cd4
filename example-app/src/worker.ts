// A worker serves requests until it is told to stop. Then it takes no new ones, finishes those it has, and ends by
// itself, so that no lock is left behind and no file half written.

import cluster from 'node:cluster';
import { createServer, type ServerResponse } from 'node:http';

import { createApp } from './app.js';
import type { Settings } from './settings.js';

export function runWorker(settings: Settings): void {
  const folder = process.env['EXAMPLE_FOLDER'];
  if (folder === undefined) throw new Error('a worker is started by the primary');

  const server = createServer(createApp(settings, folder));
  const unfinished = new Set<ServerResponse>();
  let stopping = false;

  server.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') throw error;
    const problem = error.code === 'EACCES' ? 'is not open to this user' : 'is taken';
    console.error(`example-app: port ${settings.port} ${problem}; choose another one: PORT=3001 npm start`);
    process.exit(1);
  });
  server.on('request', (_req, res) => {
    unfinished.add(res);
    res.once('close', () => {
      unfinished.delete(res);
      closeUnused();
    });
  });
  server.listen(settings.port, '127.0.0.1');

  function stop(): void {
    stopping = true;
    server.close(() => cluster.worker?.disconnect());
    closeUnused();
  }

  /** Browsers open connections in advance; without a request on them nobody else would close them. */
  function closeUnused(): void {
    if (stopping && unfinished.size === 0) server.closeAllConnections();
  }

  process.on('SIGTERM', () => {
    if (!stopping) stop();
  });
  // Ctrl-C and a closed terminal reach the whole process group. The primary decides then, and says so by SIGTERM.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
}
