// Koa: one request at a time for each file, in all processes together; the others wait up to 5 seconds for their turn.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import Koa from 'koa';
import { fileLock } from 'semlock/koa';

const app = new Koa();
const path = (ctx) => resolve('data', basename(ctx.path));

app.use(fileLock({ file: path, waitMs: 5_000 }));
app.use(async (ctx) => {
  const count = Number(await readFile(path(ctx), 'utf8').catch(() => '0')) + 1;
  await writeFile(path(ctx), String(count));
  ctx.body = `${count}\n`;
});

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
