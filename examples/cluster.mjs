// Four workers add to one file, each of them 100 times. With the lock the sum is 400; without it, it is less.
import cluster from 'node:cluster';
import { readFile, writeFile } from 'node:fs/promises';

import { Lock } from 'semlock';

const file = 'data/sum';

if (cluster.isPrimary) {
  await writeFile(file, '0');
  const workers = Array.from({ length: 4 }, () => cluster.fork());
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  console.log(await readFile(file, 'utf8'));
} else {
  const lock = new Lock({ file });
  for (let turn = 0; turn < 100; turn += 1) {
    await lock.run(async () => writeFile(file, String(Number(await readFile(file, 'utf8')) + 1)));
  }
  process.disconnect();
}
