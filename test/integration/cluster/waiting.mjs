// A cluster whose workers wait in turn for one lock, and then count in one file by plain read-modify-write.
// Usage: node waiting.mjs <file> <waitMs> <workMs>; says on standard output what happens, as lines of JSON: the port,
// and which request has arrived, was served, or has lost its client. Ends on SIGTERM.

import cluster from 'node:cluster';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

import { fileLock } from 'semlock';

const WORKERS = 4;
const [file, waitMs, workMs] = process.argv.slice(2);
const say = (news) => console.log(JSON.stringify(news));

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === WORKERS) say({ port });
  });
  cluster.on('message', (_worker, news) => say(news));
  for (let started = 0; started < WORKERS; started++) cluster.fork();
  process.once('SIGTERM', () => cluster.disconnect());
} else {
  const lock = fileLock('counter', { waitMs: Number(waitMs) });
  const server = createServer((req, res) => {
    res.once('close', () => {
      if (!res.writableFinished) process.send({ left: req.url });
    });
    lock(req, res, (error) => void count(req, res, error));
    process.send({ arrived: req.url });
  });
  server.listen(0, '127.0.0.1');
}

async function count(req, res, error) {
  if (error !== undefined) throw error;
  process.send({ served: req.url, worker: process.pid });
  const before = Number(await readFile(file, 'utf8'));
  await delay(Number(workMs));
  await writeFile(file, String(before + 1));
  res.setHeader('Connection', 'close').end();
}
