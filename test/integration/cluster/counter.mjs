// A cluster whose workers count in one file, by plain read-modify-write: without a working lock they lose counts.
// Usage: node counter.mjs <file> <process|thread>; prints the port when all workers listen, ends on SIGTERM.

import cluster from 'node:cluster';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';

import { fileLock, memoryStore, processStore } from 'semlock';

const WORKERS = 4;
const [file, kind] = process.argv.slice(2);

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === WORKERS) console.log(port);
  });
  for (let started = 0; started < WORKERS; started++) cluster.fork();
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const lock = fileLock('counter', { store: kind === 'thread' ? memoryStore() : processStore });
  const server = createServer((req, res) => {
    res.setHeader('X-Worker', process.pid);
    lock(req, res, (error) => void count(res, error));
  });
  server.listen(0, '127.0.0.1');
}

async function count(res, error) {
  if (error !== undefined) throw error;
  const before = Number(await readFile(file, 'utf8'));
  await writeFile(file, String(before + 1));
  res.end();
}
