// A command that says which signals it gets, and how often, in the time in which a second one would come.
// It ends with 42 after the first signal, or when its standard input ends.

import { setTimeout as sleep } from 'node:timers/promises';

const counts = {};
for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2']) {
  process.on(signal, async () => {
    counts[signal] = (counts[signal] ?? 0) + 1;
    await sleep(400);
    console.log(JSON.stringify(counts));
    process.exit(42);
  });
}
process.stdin.resume().once('end', () => process.exit());
console.log('ready');
