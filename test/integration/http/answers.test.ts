// A client that sends each request when it has read the whole answer to the last one is alone, and never told busy, by
// whichever worker it is served: the lock is free before the last byte of an answer can be read.

import { rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect as connect2, type ClientHttp2Session } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it, onTestFinished } from 'vitest';

import { startCluster } from '../../support/start-cluster.js';

const SERVER = new URL('answers.mjs', import.meta.url);
const WORKERS = 3;
const TIMES = 1000;

const everywhere = [
  'end(data)',
  'end(data), later',
  'end(data), large',
  'write() and end()',
  'write(), and end() later',
  'flushHeaders(), and end() later',
  'a known length, and end() later',
  'pipe()',
  'pipe() with a known length',
  'pipeline()',
  'redirect',
  'no content',
  'the head alone, and end() later',
  'HEAD',
  'a response that others wrap',
  'two locks',
  'locked(), at once',
  'locked(), later',
];
const inExpress = ['res.send()', 'res.json()', 'res.sendFile()', 'res.redirect()', 'res.sendStatus(204)'];

const servers = [
  { name: 'Express 5', framework: 'express5', ways: [...everywhere, ...inExpress] },
  { name: 'Express 4', framework: 'express4', ways: [...everywhere, ...inExpress] },
  { name: 'Connect', framework: 'connect', ways: everywhere },
  { name: 'node:http', framework: 'http', ways: everywhere },
  { name: 'node:http2', framework: 'http2', ways: everywhere },
];

describe.each(servers)('In $name, a client that is alone', ({ framework, ways }) => {
  it('is never told busy, however its answers end', async () => {
    const send = await clientOf(framework, 'fileLock');
    const { refused, workers } = await oneByOne(send, ways);
    expect(refused).toEqual({});
    expect(workers).toBe(WORKERS);
  }, 120_000);
});

describe('A client that is alone', () => {
  it.each(['express5', 'http2'])(
    'is told busy when the lock is freed after its answer (control, %s)',
    async (framework) => {
      const send = await clientOf(framework, 'late');
      const { refused } = await oneByOne(send, ['end(data), later', 'pipe()']);
      expect(refused).not.toEqual({});
    },
    120_000,
  );
});

type Send = (path: string, turn: number) => Promise<{ status: number; worker: string }>;

/** Sends request after request, each to the next of the connections and of the ways to end; counts those refused. */
async function oneByOne(send: Send, ways: readonly string[]) {
  const refused: Record<string, number> = {};
  const workers = new Set<string>();
  for (let turn = 0; turn < TIMES; turn++) {
    const way = ways[turn % ways.length]!;
    const { status, worker } = await send(`/${encodeURIComponent(way)}`, turn);
    if (status === 503) refused[way] = (refused[way] ?? 0) + 1;
    else if (![200, 204, 302, 303].includes(status)) throw new Error(`${way} was answered with ${status}`);
    workers.add(worker);
  }
  return { refused, workers: workers.size };
}

/** Starts the cluster; gives what sends a request over one of as many connections as there are workers. */
async function clientOf(framework: string, guard: string): Promise<Send> {
  const { port, pid } = await startCluster(SERVER, framework, guard);
  onTestFinished(() => rmSync(join(tmpdir(), `semlock-answers-${pid}`), { force: true }));
  return framework === 'http2' ? sendByHttp2(port) : sendByHttp(port);
}

function sendByHttp(port: number): Send {
  const agents = Array.from({ length: WORKERS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  onTestFinished(() => agents.forEach((agent) => agent.destroy()));
  return (path, turn) =>
    new Promise((resolve, reject) => {
      const method = path === '/HEAD' ? 'HEAD' : 'GET';
      const agent = agents[turn % WORKERS];
      request({ host: '127.0.0.1', port, agent, path, method }, (res) => {
        res.resume();
        res.on('end', () => resolve({ status: res.statusCode!, worker: String(res.headers['x-worker']) }));
      })
        .on('error', reject)
        .end();
    });
}

function sendByHttp2(port: number): Send {
  const sessions: ClientHttp2Session[] = Array.from({ length: WORKERS }, () => connect2(`http://127.0.0.1:${port}`));
  onTestFinished(() => sessions.forEach((session) => session.destroy()));
  return (path, turn) =>
    new Promise((resolve, reject) => {
      const method = path === '/HEAD' ? 'HEAD' : 'GET';
      const stream = sessions[turn % WORKERS]!.request({ ':path': path, ':method': method });
      const answer = { status: 0, worker: '' };
      stream.on('response', (headers) => {
        answer.status = headers[':status']!;
        answer.worker = String(headers['x-worker']);
      });
      stream.on('end', () => resolve(answer));
      stream.on('error', reject);
      stream.resume().end();
    });
}
