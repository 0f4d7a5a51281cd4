// Blocks of requests to a server in a process of its own: what they cost that process, and how long they take. All sides
// are served by one process and take turns in an order that is drawn anew for each round, because two processes that do
// the same differ by more than what a lock costs, and so do a program's first and its tenth second. The first side is
// what the others are compared with.

import { Pool } from 'undici';

import { Lock } from '../../../dist/index.js';
import { inTrial, shuffled } from '../harness/in-trial.mjs';
import { nextMessage, startWorker } from '../harness/workers.mjs';

const CONNECTIONS = 8;
const FILES = 16;

await inTrial(async ({ framework, sides, place, block, warmUpRounds, rounds }) => {
  const server = new URL('http-server.mjs', import.meta.url);
  const { worker, ready, ended } = await startWorker(server, { framework, sides, block, place });
  const held = new Lock('busy', { namespace: place.namespace }).tryAcquire();
  if (held === null) throw new Error('the lock was not free');
  const clients = sides.map(({ name, lock }, i) => ({
    name,
    expected: lock === 'busy' ? 503 : 200,
    pool: new Pool(`http://127.0.0.1:${ready.ports[i]}`, { connections: CONNECTIONS }),
    cpuNs: 0,
    ns: 0,
  }));

  for (let round = 0; round < warmUpRounds; round++) {
    for (const client of shuffled(clients)) await measured(worker, client, block);
  }
  for (let round = 0; round < rounds; round++) {
    for (const client of shuffled(clients)) {
      const { cpuNs, ns } = await measured(worker, client, block);
      client.cpuNs += cpuNs;
      client.ns += ns;
    }
  }
  await Promise.all(clients.map(({ pool }) => pool.close()));
  held.release();
  worker.disconnect();
  await ended;

  const requests = rounds * (block - 1); // from the beginning of the first to that of the last
  return Object.fromEntries(
    clients.map(({ name, cpuNs, ns }) => [
      name,
      {
        cpuNs: cpuNs / requests,
        perSecond: (requests * 1e9) / ns,
        addedNs: (cpuNs - clients[0].cpuNs) / requests,
        addedPercent: (cpuNs / clients[0].cpuNs - 1) * 100,
      },
    ]),
  );
});

/** Sends one block of requests; gives what it has cost the server. */
async function measured(worker, { pool, expected }, block) {
  const cost = nextMessage(worker);
  let left = block;
  const send = async () => {
    while (left > 0) {
      left -= 1;
      const { statusCode, body } = await pool.request({ method: 'GET', path: `/files/${left % FILES}` });
      await body.dump();
      if (statusCode !== expected) throw new Error(`an answer was ${statusCode} instead of ${expected}`);
    }
  };
  const [result] = await Promise.all([cost, ...Array.from({ length: CONNECTIONS }, send)]);
  return result;
}
