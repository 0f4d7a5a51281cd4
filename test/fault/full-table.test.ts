// A server whose locks are named by its clients, when there is no room for one more lock.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { expect, it, onTestFinished } from 'vitest';

import type { Grant } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';

const SERVER = fileURLToPath(new URL('support/name-server.mjs', import.meta.url));
const names = { namespace: 'full', name: '', named: false };

/** Starts the server where that /dev/shm is; gives a function that makes a request. */
async function startServer(shm: PrivateShm) {
  const [command, ...args] = [...shm.through, process.execPath, SERVER, names.namespace];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  onTestFinished(async () => {
    child.stdin.end();
    await ended;
  });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return async (name: string) => {
    const response = await fetch(`http://127.0.0.1:${String(port).trim()}/${name}`);
    return [response.status, await response.text()];
  };
}

it('answers 503 and runs no handler for new names, keeps what is held, and serves again once some are free', async () => {
  const shm = await PrivateShm.mount('size=1m');
  const request = await startServer(shm);
  expect(await request('first'), 'with room').toEqual([200, 'served']);

  const holder = shm.process();
  const { held, error, grants } = await holder.call<{ held: number; error: string; grants: Grant[] }>(
    'holdEach',
    names,
    'file',
    0,
    100_000,
  );
  expect([error, held > 1_000]).toEqual(['CAPACITY', true]);
  for (const name of ['new', 'newer']) expect(await request(name)).toEqual([503, 'ERR_SEMLOCK_CAPACITY']);
  for (const number of [0, held - 1]) expect(await request(`file${number}`)).toEqual([503, 'busy']);

  expect(await holder.call('releaseEach', names, 'file', 0, grants.slice(0, 10))).toBe(10);
  for (const name of ['new', 'newer', 'file0', 'file9']) expect(await request(name)).toEqual([200, 'served']);
  for (const number of [10, held - 1]) expect(await request(`file${number}`)).toEqual([503, 'busy']);
});
