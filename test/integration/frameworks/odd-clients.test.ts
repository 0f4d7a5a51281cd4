// Whatever a client does, its lock stays with the handler that works and is free when that has ended.

import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { RawClient } from '../../support/http-server.js';
import { scratchNamespace } from '../../support/shm.js';
import { frameworks } from './servers.js';

const HEAD = 'Host: test\r\n';
const HALF_A_BODY = `GET / HTTP/1.1\r\n${HEAD}Content-Length: 100\r\n\r\nhalf`;

/** What each sends, and what it does while the handler works. */
const clients: [string, string, ((client: RawClient) => void)?][] = [
  ['ends its side of the connection', `GET / HTTP/1.1\r\n${HEAD}\r\n`, ({ socket }) => socket.end()],
  ['breaks the connection', `GET / HTTP/1.1\r\n${HEAD}\r\n`, (client) => client.reset()],
  ['speaks HTTP/1.0', `GET / HTTP/1.0\r\n${HEAD}\r\n`],
  ['wants the connection closed', `GET / HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`],
  ['sends a body with HEAD', `HEAD / HTTP/1.1\r\n${HEAD}Content-Length: 4\r\n\r\nbody`],
  ['sends trailers', `GET / HTTP/1.1\r\n${HEAD}Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n`],
  ['expects 100-continue', `GET / HTTP/1.1\r\n${HEAD}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n`],
  ['leaves in the middle of its body', HALF_A_BODY, (client) => client.leave()],
  ['breaks the connection in the middle of its body', HALF_A_BODY, (client) => client.reset()],
  ['ends its side in the middle of its body', HALF_A_BODY, ({ socket }) => socket.end()],
  [
    'sends a chunk that is none',
    `GET / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`,
    ({ socket }) => socket.write('zz\r\n'),
  ],
  [
    'sends the next request before it has the answer, and leaves',
    `GET / HTTP/1.1\r\n${HEAD}\r\nGET /next HTTP/1.1\r\n${HEAD}\r\n`,
    (client) => client.leave(),
  ],
  [
    'sends something else than HTTP after its request',
    `GET / HTTP/1.1\r\n${HEAD}\r\n`,
    ({ socket }) => socket.write('?\r\n\r\n'),
  ],
];

describe.each(frameworks)('In $name', ({ serve }) => {
  it.each(clients)('a client that %s', async (_what, request, then) => {
    const namespace = scratchNamespace();
    const lock = new Lock('default', { namespace });
    const isFree = () => lock.tryAcquire()?.release() === true;
    const [began, end] = [deferred(), deferred()];
    const url = await serve({ namespace }, async () => {
      began.resolve();
      await end.promise;
      return 'done';
    });
    const client = new RawClient(Number(new URL(url).port));
    client.socket.write(request);
    await began.promise;
    then?.(client);
    await sleep(50); // so that the server knows it

    expect(isFree(), 'the handler works').toBe(false);
    end.resolve();
    await expect.poll(isFree, { timeout: 10_000 }).toBe(true);
    expect(await (await fetch(url)).text()).toBe('done');
    expect(isFree(), 'the answer is given').toBe(true);
  });

  it('a client that expects what no server does is refused, and takes no lock', async () => {
    const namespace = scratchNamespace();
    const lock = new Lock('default', { namespace });
    let calls = 0;
    const url = await serve({ namespace }, () => Promise.resolve(String((calls += 1))));
    const client = new RawClient(Number(new URL(url).port)).get('/', { Expect: 'wonders' });
    await expect.poll(() => client.statuses).toEqual([417]);
    expect([calls, lock.tryAcquire()?.release()]).toEqual([0, true]);
  });
});
