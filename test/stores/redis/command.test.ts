// The command, with locks on a server.

import { expect, it } from 'vitest';

import { runProgram } from '../../support/run-program.js';
import { RedisServer } from '../../support/redis/server.js';
import { startHolder } from '../../support/remote/holder.js';
import { SEMLOCK } from '../../integration/cli/semlock.js';

const server = await RedisServer.shared(15_000); // the lease that the command has
const store = ['--store', server.url, '--namespace', 'command'];

it('runs a command under the lock, and leaves it free', () => {
  for (let time = 0; time < 2; time += 1) {
    const { status, stdout, stderr } = runProgram(SEMLOCK, ['run', ...store, 'file', 'echo', 'done'], {});
    expect([status, stdout, stderr]).toEqual([0, 'done\n', '']);
  }
});

it('says who has it, and shows it', async () => {
  const holder = await startHolder({ kind: 'node-redis', url: server.url, leaseMs: 15_000 }, 'command', 'file');
  const busy = runProgram(SEMLOCK, ['run', ...store, 'file', 'echo', 'done'], {});
  expect([busy.status, busy.stdout]).toEqual([75, '']);
  expect(busy.stderr).toMatch(/the lock file of the namespace command is held by process \d+ for/);
  const shown = JSON.parse(runProgram(SEMLOCK, ['ls', ...store, '--json'], {}).stdout) as { held: object[] };
  expect(shown.held).toMatchObject([{ name: 'file', token: holder.token, alive: true }]);
  await holder.kill();
  const next = runProgram(SEMLOCK, ['run', ...store, 'file', 'sh', '-c', 'echo $SEMLOCK_ABANDONED'], {});
  expect([next.status, next.stdout]).toEqual([0, '1\n']);
});

it('says in one sentence that no server is there', async () => {
  const gone = await RedisServer.start();
  await gone.stop();
  const { status, stderr } = runProgram(SEMLOCK, ['run', '--store', gone.url, 'file', 'true'], {});
  expect(status).toBe(69);
  expect(stderr).toMatch(/^semlock: the store "redis" did not give the lock "file": .*\n$/);
});
