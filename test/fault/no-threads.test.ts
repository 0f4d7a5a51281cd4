// A system that gives no more threads refuses waits that need one, in words, and everything else goes on. Only root can
// make it one.

import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';

import { expect, it } from 'vitest';

import { LockProcess } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';

const NOBODY = '65534'; // root has as many threads as it likes
const AS_NOBODY = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--'];
const lock = { namespace: 'no-threads', name: 'lock' };

it('a wait in the event loop that cannot have its thread is refused, and may be tried again', async () => {
  const shm = await PrivateShm.mount();
  const holder = LockProcess.start({ through: [...shm.through, ...AS_NOBODY] });
  const process = LockProcess.start({ through: [...shm.through, ...AS_NOBODY] });
  // The soft limit, which the same user may raise again.
  const limit = (threads: number) =>
    execFileSync('setpriv', [...AS_NOBODY.slice(1), 'prlimit', '--pid', String(process.pid), `--nproc=${threads}:`]);
  try {
    const [grant] = await holder.take(lock, 1);
    expect(await process.tryAcquire(lock)).toBeNull();
    limit(1);
    await expect(process.waitInTurn(lock)).rejects.toMatchObject({ errno: constants.errno.EAGAIN });
    expect(await process.tryAcquire({ ...lock, name: 'another' })).not.toBeNull();

    limit(1000);
    const granted = process.waitInTurn(lock);
    await holder.release(lock, grant!);
    expect(await granted).toMatchObject({ abandoned: false });
  } finally {
    await Promise.all([holder, process].map((each) => each.kill()));
  }
});
