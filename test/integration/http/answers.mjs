// A cluster whose handlers end their answers in all the ways that there are, each under one lock of all workers.
// Usage: node answers.mjs <framework> <guard>; prints the port when all workers listen, ends on SIGTERM.

import cluster from 'node:cluster';
import { createReadStream, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createServer2 } from 'node:http2';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as turn } from 'node:timers/promises';

import connect from 'connect';
import express from 'express';
import { fileLock, Lock, locked } from 'semlock';

const WORKERS = 3;
const [framework, guardName] = process.argv.slice(2);
const SIZE = 20_000;
const file = join(tmpdir(), `semlock-answers-${process.ppid}`);
const body = 'x'.repeat(SIZE);

const handlers = {
  'end(data)': (_req, res) => res.end('done'),
  'end(data), later': async (_req, res) => {
    await turn();
    res.end('done');
  },
  'end(data), large': (_req, res) => res.end('x'.repeat(1_000_000)),
  'write() and end()': (_req, res) => {
    res.write('do');
    res.end('ne');
  },
  'write(), and end() later': async (_req, res) => {
    res.write('done');
    await turn();
    res.end();
  },
  'flushHeaders(), and end() later': async (_req, res) => {
    res.flushHeaders();
    await turn();
    res.end('done');
  },
  'a known length, and end() later': async (_req, res) => {
    res.writeHead(200, { 'Content-Length': 4 });
    res.write('do');
    await turn();
    res.write('ne');
    await turn();
    await turn();
    res.end();
  },
  'pipe()': (_req, res) => createReadStream(file).pipe(res),
  'pipe() with a known length': (_req, res) => {
    res.setHeader('Content-Length', SIZE);
    createReadStream(file).pipe(res);
  },
  'pipeline()': (_req, res) => pipeline(Readable.from(['do', 'ne']), res),
  redirect: (_req, res) => res.writeHead(303, { Location: '/' }).end(),
  'no content': async (_req, res) => {
    await turn();
    res.writeHead(204).end();
  },
  'the head alone, and end() later': async (_req, res) => {
    res.writeHead(204).flushHeaders();
    await turn();
    res.end();
  },
  HEAD: (_req, res) => {
    res.setHeader('Content-Length', SIZE);
    createReadStream(file).pipe(res);
  },
  'a response that others wrap': async (_req, res) => {
    const { write, end } = res;
    res.write = (...args) => write.apply(res, args);
    res.end = (...args) => void setImmediate(() => end.apply(res, args));
    await turn();
    res.end('done');
  },
  'two locks': async (_req, res) => {
    await turn();
    res.end('done');
  },
  'locked(), at once': async (_req, res) => {
    res.end('done');
  },
  'locked(), later': async (_req, res) => {
    await turn();
    res.end('done');
  },
};
const expressHandlers = {
  'res.send()': (_req, res) => res.send(body),
  'res.json()': async (_req, res) => {
    await turn();
    res.json({ done: true });
  },
  'res.sendFile()': (_req, res) => res.sendFile(file),
  'res.redirect()': (_req, res) => res.redirect('/'),
  'res.sendStatus(204)': (_req, res) => res.sendStatus(204),
};

/** Frees the lock when the response is out, which is too late. */
function guardThatFreesLate(req, res, next) {
  const held = lateLock.tryAcquire();
  if (held === null) return void res.writeHead(503).end();
  res.on('finish', () => held.release());
  return next();
}
const lateLock = new Lock('answers');
const guard = guardName === 'late' ? guardThatFreesLate : fileLock('answers');
const second = fileLock('second');

function chainOf(way) {
  const handler = handlers[way] ?? expressHandlers[way];
  if (guardName !== 'late' && way.startsWith('locked()')) return [locked('answers', handler)];
  return way === 'two locks' ? [guard, second, handler] : [guard, handler];
}
const chains = new Map(Object.keys({ ...handlers, ...expressHandlers }).map((way) => [way, chainOf(way)]));

function serve(req, res, next) {
  const chain = chains.get(decodeURIComponent(req.url.slice(1)));
  const run = (at) => (error) => {
    if (error) throw error;
    return chain[at]?.(req, res, run(at + 1));
  };
  return chain === undefined ? next() : run(0)();
}

const makers = {
  express5: () => createServer(express().use(setWorker, serve)),
  express4: () => createServer(createRequire(import.meta.url)('express4')().use(setWorker, serve)),
  connect: () => createServer(connect().use(setWorker).use(serve)),
  http: () => createServer((req, res) => setWorker(req, res, () => serve(req, res))),
  http2: () => createServer2((req, res) => setWorker(req, res, () => serve(req, res))),
};

function setWorker(_req, res, next) {
  res.setHeader('X-Worker', process.pid);
  return next();
}

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', (_worker, { port }) => {
    if (++listening === WORKERS) console.log(port);
  });
  for (let started = 0; started < WORKERS; started++) cluster.fork();
  process.once('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.process.disconnect();
  });
} else {
  writeFileSync(file, body);
  // Whatever else the machine does meanwhile, connections stay.
  Object.assign(makers[framework](), { keepAliveTimeout: 0 }).listen(0, '127.0.0.1');
  process.once('disconnect', () => process.exit());
}
