// A fixed number of requests to a server in a process of its own: what they cost that process, and how long they take.

import autocannon from 'autocannon';

import { Lock } from '../../../dist/index.js';
import { inTrial } from '../harness/in-trial.mjs';
import { nextMessage, startWorker } from '../harness/workers.mjs';

const CONNECTIONS = 8;
const FILES = 16;

await inTrial(async ({ framework, lock, handler, place, warmUp, requests }) => {
  const server = new URL('http-server.mjs', import.meta.url);
  const { worker, ready } = await startWorker(server, { framework, lock, handler, warmUp, requests, place });
  const expected = lock === 'busy' ? '503' : '200';
  const held = lock === 'busy' ? new Lock('bench', { namespace: place.namespace }).tryAcquire() : undefined;
  if (held === null) throw new Error('the lock was not free');

  const measured = nextMessage(worker);
  await load(ready.port, warmUp + requests, expected);
  const result = await measured;
  worker.kill();
  held?.release();
  return result;
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
