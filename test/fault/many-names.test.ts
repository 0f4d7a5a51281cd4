// Locks whose names are computed for each request: many of them, with little memory.

import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import type { Grant } from './support/lock-process.js';
import { PrivateShm } from './support/private-shm.js';

const lock = { namespace: 'many', name: '', named: false };

interface Held {
  held: number;
  grants: Grant[];
  error?: string;
}

/** In microseconds. */
interface Times {
  cold: number;
  hot: number;
}

const KEYED_NAMES = fileURLToPath(new URL('support/keyed-names.mjs', import.meta.url));

/** Uses so many names in a process of its own, as the middleware does. */
async function useNames(shm: PrivateShm, prefix: string, count: number) {
  const [command, ...args] = [...shm.through, process.execPath, KEYED_NAMES, lock.namespace];
  const { stdout } = await promisify(execFile)(command, [...args, prefix, String(count)]);
  return JSON.parse(stdout) as Times & { fixed: number; grownBytes: number };
}

describe('locks with computed names', () => {
  it('need bounded memory when 4 workers use 100 000 of them one after another', async () => {
    const shm = await PrivateShm.mount();
    const workers = Array.from({ length: 4 }, () => shm.process());
    const before = await Promise.all(workers.map((worker) => worker.call<number>('memory')));
    const busy = await Promise.all(
      workers.map((worker, index) => worker.call<number>('useEach', lock, `worker ${index} file `, 0, 25_000)),
    );
    // A worker that loses the processor in the table's latch makes the tries of others answer busy until it goes on, and
    // these workers try again and again without a pause.
    expect(busy.reduce((sum, each) => sum + each)).toBeLessThan(5000);

    expect(statSync(shm.tableOf(lock.namespace)).blocks * 512).toBeLessThan(2 * 1024 * 1024);
    const after = await Promise.all(workers.map((worker) => worker.call<number>('memory')));
    const growth = after.map((bytes, index) => (bytes - before[index]!) / 1024 / 1024);
    expect(Math.max(...growth), 'MiB').toBeLessThan(60);
  }, 60_000);

  it('can be held, 10 000 at once, in a /dev/shm of 64 MiB', async () => {
    const shm = await PrivateShm.mount('size=64m');
    const workers = Array.from({ length: 4 }, () => shm.process());
    const holding = await Promise.all(
      workers.map((worker, index) => worker.call<Held>('holdEach', lock, 'file ', index * 2500, (index + 1) * 2500)),
    );
    expect(holding.map(({ held }) => held)).toEqual([2500, 2500, 2500, 2500]);
    const [first, second] = workers;
    expect(await second!.call('useEach', lock, 'file ', 0, 2500), 'names that the first one holds').toBe(2500);
    expect(await first!.query(lock.namespace)).toHaveLength(10_000);

    const released = await Promise.all(
      workers.map((worker, index) => worker.call('releaseEach', lock, 'file ', index * 2500, holding[index]!.grants)),
    );
    expect(released).toEqual([2500, 2500, 2500, 2500]);
    expect(await first!.call('useEach', lock, 'file ', 0, 10_000)).toBe(0);
  }, 60_000);

  it('are refused when the table is full, which loses nobody’s, and had again when some are free', async () => {
    const shm = await PrivateShm.mount('size=64m');
    const [one, other] = [shm.process(), shm.process()];
    const { held, error, grants } = await one.call<Held>('holdEach', lock, 'file ', 0, 100_000);
    expect(error).toBe('CAPACITY');
    expect(held).toBeGreaterThan(10_000);
    // Each try looks for room in a part of the table, and the last one knows that there is none.
    const oneMore = { ...lock, name: 'one more' };
    await expect(other.call('tryFor', oneMore, 1000)).rejects.toMatchObject({ kind: 'CAPACITY' });
    expect(await other.call('useEach', lock, 'file ', 0, held), 'all of them are still held').toBe(held);

    expect(await one.call('releaseEach', lock, 'file ', 0, grants.slice(0, 100))).toBe(100);
    const { grant } = await other.call<{ grant: Grant }>('tryFor', oneMore, 1000);
    expect(await other.release(oneMore, grant)).toBe(true);
    expect(await other.call('useEach', lock, 'file ', 100, held)).toBe(held - 100);
    await one.kill();
    expect(await other.call('useEach', lock, 'another ', 0, held), 'when their holder has died').toBe(0);
  }, 120_000);

  it('cost 50 µs at most when they are new, and what a fixed name costs when they are not', async () => {
    const shm = await PrivateShm.mount();
    const process = shm.process();
    const { cold, hot } = await process.call<Times>('times', lock, 'file ', 10_000);
    const fixed = (await process.call<Times>('times', { ...lock, named: true }, 'fixed ', 10)).hot!;
    console.log(`cold name ${cold} µs, hot name ${hot} µs, fixed name ${fixed} µs (medians of a try and a release)`);
    expect(cold).toBeLessThan(50);
    expect(hot).toBeLessThan(3 * fixed);
  });

  it('cost the middleware no more, and leave no more behind in 4 workers that use 100 000 of them', async () => {
    const shm = await PrivateShm.mount();
    const one = await useNames(shm, 'only ', 5_000);
    console.log(`cold name ${one.cold} µs, hot name ${one.hot} µs, fixed name ${one.fixed} µs (as in the middleware)`);
    expect(one.cold).toBeLessThan(50);
    expect(one.hot).toBeLessThan(2 * one.fixed);

    const all = await Promise.all([0, 1, 2, 3].map((worker) => useNames(shm, `worker ${worker} `, 25_000)));
    for (const { grownBytes } of all) expect(grownBytes / 1024 / 1024, 'MiB').toBeLessThan(30);
  }, 60_000);
});
