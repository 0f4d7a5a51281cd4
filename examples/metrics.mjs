// Metrics: what the locks of this process do, as text for Prometheus. The channels are the same for every store.
import { subscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';

import { fileLock } from 'semlock';

const counters = new Map();
const count = (metric, { name }, by = 1) => {
  const key = `semlock_${metric}{lock=${JSON.stringify(name)}}`;
  counters.set(key, (counters.get(key) ?? 0) + by);
};
subscribe('semlock:acquired', (message) => count('acquired_total', message));
subscribe('semlock:busy', (message) => count('busy_total', message));
subscribe('semlock:abandoned', (message) => count('abandoned_total', message));
subscribe('semlock:lost', (message) => count('lost_total', message));
subscribe('semlock:waited', (message) => count('waited_seconds_total', message, (message.durationMs ?? 0) / 1000));
subscribe('semlock:released', (message) => count('held_seconds_total', message, (message.durationMs ?? 0) / 1000));

const report = fileLock('report');
const server = createServer((req, res) => {
  if (req.url === '/metrics') res.end([...counters].map((counter) => `${counter.join(' ')}\n`).join(''));
  else report(req, res, () => setTimeout(() => res.end('done\n'), 50));
});
server.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
