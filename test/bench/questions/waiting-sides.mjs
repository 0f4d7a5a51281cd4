// The sides that can wait for a lock, for the questions about waiting.

import { startRedis } from '../contenders/redis-server.mjs';

const SIDES = [
  ['Lock.acquire()', 'a promise; waits in a queue that all processes share', 'semlock', 'acquire'],
  ['Lock.acquireSync()', 'the same, blocking the thread', 'semlock', 'acquireSync'],
  ['fs-ext', "`flock(fd, 'ex')`, blocking a thread of the libuv pool", 'fs-ext', 'wait'],
  ['fs-ext, sync', "`flockSync(fd, 'ex')`, blocking the thread", 'fs-ext', 'waitSync'],
  ['fs-native-extensions', '`waitForLock(fd)`, blocking a thread of the libuv pool', 'fs-native-extensions', 'wait'],
  ['fs-native-extensions, sync', '`waitForLockSync(fd)`, blocking the thread', 'fs-native-extensions', 'waitSync'],
  ['os-lock', '`lock(fd, { exclusive })`, blocking a thread of the libuv pool', 'os-lock', 'wait'],
  ['lockfile', '`lock()`, asking again every 10 ms', 'lockfile', 'wait'],
  ['proper-lockfile', '`lock()`, asking again every 10 ms', 'proper-lockfile', 'wait'],
  ['Redis', '`SET … NX PX`, asking again every 10 ms, over a Unix socket', 'redis', 'wait', { serve: startRedis }],
];

/** Names of the peers, by whether they block the thread. */
export const PEERS = {
  async: ['fs-ext', 'fs-native-extensions', 'os-lock', 'lockfile', 'proper-lockfile', 'Redis'],
  sync: ['fs-ext, sync', 'fs-native-extensions, sync'],
};

/** All of them as sides of a question, whose trials run `script` with `args`. */
export function waitingSides(script, args, group) {
  return SIDES.map(([name, does, contender, variant, trial]) => ({
    name,
    does,
    group,
    trial: { script, args: { contender, variant, ...args }, ...trial },
  }));
}
