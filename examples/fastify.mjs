// Fastify: one request at a time for each file, in all processes together; the others wait up to 5 seconds for their turn.
import { readFile, writeFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';

import fastify from 'fastify';
import { lockPlugin } from 'semlock/fastify';

const app = fastify();
const path = (request) => resolve('data', basename(request.params.name));
await app.register(lockPlugin, { waitMs: 5_000 });

app.post('/files/:name', { config: { lock: { file: path } } }, async (request) => {
  const count = Number(await readFile(path(request), 'utf8').catch(() => '0')) + 1;
  await writeFile(path(request), String(count));
  return `${count}\n`;
});

console.log(await app.listen({ host: '127.0.0.1', port: process.env.PORT ?? 3000 }));
