// A process that uses a lock in its event loop and measures for how long that stands still. What the system gives to
// other programs meanwhile does not count.
// Usage: fork it with <namespace> <name> <one of uses>; it measures from each message 'begin' to the next 'tell', then says
// for how many milliseconds each turn of the loop stalled; after 'end' it ends as soon as it has had the lock.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { Lock } from 'semlock';

const [namespace, name, use] = process.argv.slice(2);
const lock = new Lock(name, { namespace });
const PAUSE_MS = 2;

const uses = {
  try: () => void lock.tryAcquire()?.release(),
  /** Others come, and give up. */
  wait() {
    const leaving = new AbortController();
    lock.acquire({ signal: leaving.signal }).then(
      (held) => held.release(),
      () => {},
    );
    setTimeout(() => leaving.abort(), 5);
  },
  /** Waits for a thousand other locks, some more in each turn. */
  waitForMany() {
    for (let some = 0; stallsMs !== undefined && some < 20 && waited < 1000; some++, waited++) {
      new Lock(`${name} ${waited}`, { namespace }).acquire().then((held) => held.release());
    }
  },
  /** What nobody does in an event loop: the control. */
  block: () => void lock.acquireSync({ timeoutMs: 20 })?.release(),
};

/** For how long this thread has been ready to run while others ran, in milliseconds. See proc(5), schedstat. */
const lostMs = () => Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[1]) / 1e6;

let stallsMs;
let ended = false;
let waited = 0;
process.on('message', (what) => {
  if (what === 'begin') stallsMs = [];
  else if (what === 'tell') process.send(stallsMs);
  else ended = true;
});
const patient = use === 'wait' ? lock.acquire() : undefined;
process.send('ready');

while (!ended) {
  const turns = stallsMs;
  const [start, lost] = [performance.now(), lostMs()];
  uses[use]();
  await sleep(PAUSE_MS);
  turns?.push(performance.now() - start - (lostMs() - lost) - PAUSE_MS);
}
(await (patient ?? lock.acquire())).release();
process.disconnect();
