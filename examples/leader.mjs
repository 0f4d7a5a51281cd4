// One leader of many processes: the one with the lock leads until it ends, however it ends. Then the next one leads.
import { setTimeout } from 'node:timers/promises';

import { locks } from 'semlock';

const end = new AbortController();
process.once('SIGTERM', () => end.abort('the end'));

console.log('follows');
await locks
  .request('leader', { signal: end.signal }, async ({ token, abandoned }) => {
    console.log(`leads (${abandoned ? 'the last leader died' : 'in good order'}), term ${token}`);
    while (!end.signal.aborted) await setTimeout(100); // what only one of them shall do
  })
  .catch((reason) => {
    if (reason !== 'the end') throw reason; // it came while this one followed
  });
