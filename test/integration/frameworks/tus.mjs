// Has an upload in hand until it is asked for it, and says what happens. Usage: node tus.mjs <id>

import { tusLocker } from 'semlock/tus';

const lock = tusLocker().newLock(process.argv[2]);
await lock.lock(new AbortController().signal, async () => {
  console.log('asked');
  await lock.unlock();
});
console.log('locked');
process.stdin.resume(); // until the test ends
process.stdin.on('end', () => process.exit());
