// A client that sends each request when it has the whole answer to the last one is alone, and never told busy.

import { Agent, request } from 'node:http';

import { expect, it, onTestFinished } from 'vitest';

import { startCluster } from '../../support/start-cluster.js';

const CLUSTER = new URL('cluster.mjs', import.meta.url);
const CONNECTIONS = 3;
const TIMES = 1000;
const WAYS = ['/text', '/stream', '/length', '/empty'];

it.each(['fastify', 'koa', 'hono', 'fetch', 'nestOnExpress', 'nestOnFastify'])(
  'with %s, a client that is alone is never told busy, however its answers end',
  async (framework) => {
    const each = TIMES / WAYS.length;
    const all = { '/text 200': each, '/stream 200': each, '/length 200': each, '/empty 204': each };
    expect(await oneByOne(framework)).toEqual(all);
  },
  120_000,
);

it('it is told so when the lock is freed after its answer (control)', async () => {
  const answers = await oneByOne('late');
  expect(Object.keys(answers).filter((answer) => answer.endsWith('503'))).not.toEqual([]);
}, 120_000);

/** Sends request after request, each to the next of the connections and of the ways to end; counts the answers. */
async function oneByOne(framework: string): Promise<Record<string, number>> {
  const { port } = await startCluster(CLUSTER, framework);
  const agents = Array.from({ length: CONNECTIONS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  onTestFinished(() => {
    for (const agent of agents) agent.destroy();
  });
  const send = (path: string, agent: Agent) =>
    new Promise<number>((resolve, reject) => {
      request({ host: '127.0.0.1', port, agent, path }, (res) => {
        res.resume().on('end', () => resolve(res.statusCode!));
      })
        .on('error', reject)
        .end();
    });

  const answers: Record<string, number> = {};
  for (let turn = 0; turn < TIMES; turn++) {
    const path = WAYS[turn % WAYS.length]!;
    const answer = `${path} ${await send(path, agents[turn % CONNECTIONS]!)}`;
    answers[answer] = (answers[answer] ?? 0) + 1;
  }
  return answers;
}
