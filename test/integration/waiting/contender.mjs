// Takes a lock again and again in so many asynchronous functions at once, from 'go' until 'stop', and says how often each
// of them had it. An exclusive one is given back at once, a shared one after its turn.
// Usage: contender.mjs <namespace> <name> <mode> <functions> <turn of a reader in ms>

import { setTimeout as sleep } from 'node:timers/promises';

import { Lock } from '../../../dist/index.js';

const [namespace, name, mode, functions, turnMs] = process.argv.slice(2);
const lock = new Lock(name, { namespace });
const turns = Array.from({ length: Number(functions) }, () => 0);
let stopped = false;

async function contend(_, number) {
  if (mode === 'shared') await sleep((number * Number(turnMs)) / turns.length);
  while (!stopped) {
    const held = await lock.acquire({ mode });
    turns[number] += 1;
    if (mode === 'shared') await sleep(Number(turnMs));
    held.release();
  }
}

process.on('message', async (order) => {
  if (order === 'stop') stopped = true;
  if (order !== 'go') return;
  await Promise.all(turns.map(contend));
  process.send({ turns });
  process.disconnect();
});
process.send('ready');
