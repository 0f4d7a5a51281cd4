// node:http: locked() around a handler; the lock is held until the handler's promise has settled.
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, resolve } from 'node:path';

import { locked } from 'semlock';

const path = (req) => resolve('data', basename(req.url));

const count = locked(
  path,
  async (req, res) => {
    const count = Number(await readFile(path(req), 'utf8').catch(() => '0')) + 1;
    await writeFile(path(req), String(count));
    res.end(`${count}\n`);
  },
  { waitMs: 5_000 },
);

const server = createServer((req, res) => {
  count(req, res, (error) => res.writeHead(error?.status ?? 500).end());
});
server.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
