// A server with a lock for each path, for the fault tests that spoil its /dev/shm. Says its port on standard output.
// Usage: node name-server.mjs <namespace>; ends with its standard input.

import { createServer } from 'node:http';

import { fileLock } from 'semlock';

const [namespace] = process.argv.slice(2);
const lock = fileLock({ namespace, name: (req) => req.url.slice(1) });
const server = createServer((req, res) =>
  lock(req, res, (error) => {
    if (error !== undefined) res.writeHead(error.status);
    res.end(error === undefined ? 'served' : error.code);
  }),
);
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().once('end', () => process.exit());
