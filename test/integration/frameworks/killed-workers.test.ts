// A worker that is killed while its handler works leaves no lock behind: the next request has it, and is told.

import { expect, it } from 'vitest';

import { startCluster } from '../../support/start-cluster.js';

const CLUSTER = new URL('cluster.mjs', import.meta.url);

it.each(['express', 'fastify', 'koa', 'hono', 'fetch', 'nestOnExpress', 'nestOnFastify'])(
  'with %s, the lock of a worker that was killed is free, and its next holder is told',
  async (framework) => {
    const { port, nextLine: workerIsGone } = await startCluster(CLUSTER, framework);
    const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    const gone = workerIsGone();
    await expect(ask('/dies')).rejects.toThrow('fetch failed');
    await gone; // the cluster gives no more connections to it

    const answers = [await ask('/told'), await ask('/told')];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    const isTold = framework !== 'fetch'; // where a handler is given a request alone
    const told = await Promise.all(answers.map((answer) => answer.text()));
    expect(told).toEqual(isTold ? ['true', 'false'] : ['undefined', 'undefined']);
  },
  60_000,
);
