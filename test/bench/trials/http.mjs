// A fixed number of requests to a server in a process of its own: what they cost that process, and how long they take.

import autocannon from 'autocannon';

import { Lock } from '../../../dist/index.js';
import { inTrial, now } from '../harness/in-trial.mjs';
import { nextMessage, startWorker } from '../harness/workers.mjs';

const CONNECTIONS = 8;
const WARM_UP_REQUESTS = 4_000;
const FILES = 16;

await inTrial(async ({ framework, lock, handler, place, requests }) => {
  const server = new URL('http-server.mjs', import.meta.url);
  const { worker, ready } = await startWorker(server, { framework, lock, handler, place });
  const expected = lock === 'busy' ? '503' : '200';
  const held = lock === 'busy' ? new Lock('bench', { namespace: place.namespace }).tryAcquire() : undefined;
  if (held === null) throw new Error('the lock was not free');

  await load(ready.port, WARM_UP_REQUESTS, expected);
  const before = await cpuUs(worker);
  const start = now();
  await load(ready.port, requests, expected);
  const elapsedNs = now() - start;
  const cpu = (await cpuUs(worker)) - before;
  worker.kill();
  held?.release();
  return { cpuNs: (cpu * 1e3) / requests, perSecond: (requests * 1e9) / elapsedNs };
});

async function load(port, amount, expected) {
  const { statusCodeStats, errors } = await autocannon({
    url: `http://127.0.0.1:${port}`,
    connections: CONNECTIONS,
    amount,
    sampleInt: 10, // it looks this often whether all is done, in ms
    requests: Array.from({ length: FILES }, (_, i) => ({ path: `/files/${i}` })),
  });
  const { [expected]: wanted, ...others } = statusCodeStats;
  if (wanted?.count === amount && errors === 0) return;
  throw new Error(`${wanted?.count ?? 0} of ${amount} answers were ${expected}; also ${JSON.stringify(others)}`);
}

async function cpuUs(worker) {
  worker.send({});
  const { user, system } = await nextMessage(worker);
  return user + system;
}
