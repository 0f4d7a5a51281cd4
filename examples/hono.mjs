// Hono: one request at a time for each file, in all processes together; the others wait up to 5 seconds for their turn.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { fileLock } from 'semlock/hono';

const app = new Hono();
const path = (c) => resolve('data', basename(c.req.param('name')));

app.post('/files/:name', fileLock({ file: path, waitMs: 5_000 }), async (c) => {
  const count = Number(await readFile(path(c), 'utf8').catch(() => '0')) + 1;
  await writeFile(path(c), String(count));
  return c.text(`${count}\n`);
});

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 3000) }, ({ port }) => {
  console.log(`http://127.0.0.1:${port}`);
});
