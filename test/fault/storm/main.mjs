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
const { doubleHolds, stuck, wrongPermits, failures } = report;
const wrong = doubleHolds + stuck.length + Object.keys(wrongPermits).length + failures.length;
console.log(wrong === 0 ? 'held' : 'BROKEN');
process.exitCode = wrong === 0 ? 0 : 1;
