// npm run test:storm [-- --seconds N]: the storm on the lock table, for 60 s unless told otherwise.

import { parseArgs } from 'node:util';

import { storm } from './storm.mjs';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const seconds = Number(values.seconds);
if (!(seconds > 0)) {
  console.error('usage: npm run test:storm [-- --seconds N]');
  process.exit(2);
}
const report = await storm({ kind: 'table', seconds });
console.log(report);
// Beside how often what happened there are lists of what went wrong.
const held = Object.values(report).every((part) => !Array.isArray(part) || part.length === 0);
console.log(held ? 'held' : 'BROKEN');
process.exitCode = held ? 0 : 1;
