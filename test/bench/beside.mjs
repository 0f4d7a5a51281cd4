// node test/bench/beside.mjs FOLDER: a free lock of this checkout beside that of another one, in turns. Both have to be built.

import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

const TURNS = 7;
const here = new URL('../../', import.meta.url).href;
const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node test/bench/beside.mjs FOLDER, with another checkout that was built');
  process.exit(2);
}

const WAYS = {
  'tryAcquire() and release()': 'lock.tryAcquire().release()',
  'await acquire() and release()': '(await lock.acquire()).release()',
};

/** Nanoseconds of a pair in a fresh process: the least of five rounds, since what else runs only adds to it. */
function measure(checkout, pair) {
  const script = `
    const { Lock } = await import(${JSON.stringify(`${checkout}dist/index.js`)});
    const lock = new Lock('beside', { namespace: 'bench-' + process.pid });
    let least = Infinity;
    for (let round = 0; round < 6; round += 1) {
      const start = process.hrtime.bigint();
      for (let pair = 0; pair < 300_000; pair += 1) ${pair};
      if (round > 0) least = Math.min(least, Number(process.hrtime.bigint() - start) / 300_000);
    }
    console.log(least);`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' }));
}

const median = (figures) => figures.toSorted((one, other) => one - other)[figures.length >> 1];
for (const [way, pair] of Object.entries(WAYS)) {
  const turns = Array.from({ length: TURNS }, (_, turn) => {
    const checkouts = [here, pathToFileURL(`${folder}/`).href];
    const order = turn % 2 === 0 ? checkouts : checkouts.toReversed();
    const figures = new Map(order.map((checkout) => [checkout, measure(checkout, pair)]));
    return checkouts.map((checkout) => figures.get(checkout));
  });
  const [ours, theirs] = [0, 1].map((side) => median(turns.map((turn) => turn[side])));
  const ratio = median(turns.map(([one, other]) => one / other));
  console.log(`${way}: ${ours.toFixed(1)} ns here, ${theirs.toFixed(1)} ns there, ratio ${ratio.toFixed(3)}`);
}
