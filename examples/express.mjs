// Express: one request at a time for each file, in all processes together; the others wait up to 5 seconds for their turn.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import express from 'express';
import { fileLock } from 'semlock';

const app = express();
const path = (req) => resolve('data', basename(req.params.name));

app.post('/files/:name', fileLock({ file: path, waitMs: 5_000 }), async (req, res) => {
  const count = Number(await readFile(path(req), 'utf8').catch(() => '0')) + 1;
  await writeFile(path(req), String(count));
  res.send(`${count}\n`);
});

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
