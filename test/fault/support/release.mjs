// A release of an app, with a version of semlock of its own: `semlock` is the path of that, the layout of its lock tables is in
// the environment.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const [semlock, namespace] = process.argv.slice(2);
const { fileLock, locks } = createRequire(import.meta.url)(semlock);

const lock = fileLock('file', { namespace });
let finish = () => {};

const server = createServer((req, res) => {
  const answer = (error) => res.writeHead(error?.status ?? 200).end(error?.code ?? 'ok');
  if (req.url === '/ready') {
    locks.query({ namespace }).then(
      () => answer(),
      ({ code }) => answer({ status: 503, code }),
    );
    return;
  }
  lock(req, res, (error) => {
    if (error !== undefined || req.url !== '/long') return answer(error);
    finish = answer;
    process.send('works');
  });
});

process.on('message', (what) => {
  if (what === 'finish') finish();
  else process.exit();
});
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
