// Two files at once: both locks are taken together and in one order, so that transfers in both directions never wait for
// each other.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import express from 'express';
import { fileLock } from 'semlock';

const app = express();
const paths = ({ params }) => [params.from, params.to].map((name) => resolve('data', basename(name)));
const read = async (path) => Number(await readFile(path, 'utf8').catch(() => '0'));

app.post('/transfer/:from/:to', fileLock({ files: paths, waitMs: 5_000 }), async (req, res) => {
  const [from, to] = paths(req);
  const [before, there] = await Promise.all([from, to].map(read));
  await writeFile(from, String(before - 1));
  await writeFile(to, String(there + 1));
  res.send('done\n');
});

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
