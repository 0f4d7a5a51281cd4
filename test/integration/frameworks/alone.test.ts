// A client that sends each request when it has the whole answer to the last one is alone, and never told busy.

import { Agent, request } from 'node:http';

import { expect, it, onTestFinished } from 'vitest';

import { startCluster } from '../../support/start-cluster.js';

const CLUSTER = new URL('cluster.mjs', import.meta.url);
const CONNECTIONS = 3;
const TIMES = 1000;
const WAYS = ['/text', '/stream', '/length', '/empty', '/large', '/redirect', '/text HEAD', '/length HEAD'];

it.each(['fastify', 'koa', 'hono', 'fetch', 'nestOnExpress', 'nestOnFastify'])(
  'with %s, a client that is alone is never told busy, however its answers end',
  async (framework) => {
    const statusOf = (way: string) => ({ '/empty': 204, '/redirect': 303 })[way] ?? 200;
    const each = WAYS.map((way) => [`${way} ${statusOf(way)}`, TIMES / WAYS.length]);
    expect(await oneByOne(framework)).toEqual(Object.fromEntries(each));
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
  const send = (way: string, agent: Agent) =>
    new Promise<number>((resolve, reject) => {
      const [path, method] = way.split(' ');
      request({ host: '127.0.0.1', port, agent, path, method }, (res) => {
        res.resume().on('end', () => resolve(res.statusCode!));
      })
        .on('error', reject)
        .end();
    });

  const answers: Record<string, number> = {};
  for (let turn = 0; turn < TIMES; turn++) {
    const way = WAYS[turn % WAYS.length]!;
    const answer = `${way} ${await send(way, agents[turn % CONNECTIONS]!)}`;
    answers[answer] = (answers[answer] ?? 0) + 1;
  }
  return answers;
}
