// A Redis server for one trial, if the machine has one.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 5_000;

export function socketPath(folder) {
  return join(folder, 'redis.sock');
}

/** Starts it in the folder of the trial; gives what stops it. */
export async function startRedis({ folder }) {
  const path = socketPath(folder);
  const args = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'no', '--dir', folder];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  const ended = once(server, 'exit').catch((error) => {
    throw new Error(error.code === 'ENOENT' ? 'there is no redis-server on this machine' : error.message);
  });
  const stop = async () => {
    server.kill();
    await ended;
  };

  await Promise.race([
    ended.then(() => {
      throw new Error('redis-server ended at once');
    }),
    answers(path),
  ]);
  return stop;
}

async function answers(path) {
  for (const end = Date.now() + START_MS; ; await sleep(10)) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    } finally {
      socket.destroy();
    }
  }
}
