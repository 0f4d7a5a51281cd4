// Processes that a trial starts, and a start at the same moment for all of them.

import { fork } from 'node:child_process';
import { once } from 'node:events';

import { now } from './in-trial.mjs';

const HEAD_START_NS = 20e6;

/**
 * Starts `script` (a URL) with `args`, and waits for its first message, which says that it is ready. Await `ended` before
 * the trial is over: what a process has used counts as this one's own only when this one has seen its end.
 */
export async function startWorker(script, args) {
  const worker = fork(script, [JSON.stringify(args)]);
  const ended = once(worker, 'exit');
  const ready = await nextMessage(worker);
  return { worker, ready, ended };
}

/** The next message of a worker; rejects when it ends without one, or reports a failure. */
export async function nextMessage(worker) {
  const ended = new AbortController();
  try {
    const message = await Promise.race([
      once(worker, 'message', ended).then(([message]) => message),
      // Its end may be seen before its last message is, but not that of the channel.
      once(worker, 'disconnect', ended).then(() => {
        throw new Error('a process of the trial ended without a report');
      }),
    ]);
    if (message.failure !== undefined) throw new Error(message.failure);
    return message;
  } finally {
    ended.abort();
  }
}

/** Starts `count` workers, lets them go at the same moment, and gives what each reports. */
export async function runTogether(script, args, count) {
  const workers = await Promise.all(Array.from({ length: count }, () => startWorker(script, args)));
  const startAt = now() + HEAD_START_NS;
  const reports = await Promise.all(
    workers.map(({ worker }) => {
      worker.send({ startAt });
      return nextMessage(worker);
    }),
  );
  await Promise.all(workers.map(({ ended }) => ended));
  return reports;
}
