// What a handler sends while it holds the lock leaves when its code has returned. It is not lost on the way there.

import type { Server } from 'node:http';

import { describe, expect, it } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { Lock } from '../../../src/lock.js';
import { deferred } from '../../support/deferred.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { runModule } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';

const namespace = scratchNamespace();
const lock = new Lock('file', { namespace });
const guard = fileLock('file', { namespace }) as Handler;

const ends: [string, Handler][] = [
  ['destroys the connection', (req) => req.socket.destroy()],
  ['destroys the request', (req) => req.destroy()],
  ['destroys the response', (_req, res) => res.destroy()],
  ['ends the connection', (req) => req.socket.end()],
  ['closes the server', (req) => (req.socket as unknown as { server: Server }).server.close()],
  ['releases the lock', (req) => req.lock.release()],
  ['writes on', (_req, res) => res.on('error', () => undefined).write('too late')],
];

describe('An answer reaches its client when the handler then', () => {
  it.each(ends)('%s', async (_what, then) => {
    const port = await listen(
      express5App(guard, (req, res, next) => {
        res.end('done');
        return then(req, res, next);
      }),
    );
    const client = new RawClient(port).get();
    await expect.poll(() => client.received).toMatch(/done$/);
  });

  it.each(ends)('%s, in a later turn', async (_what, then) => {
    const port = await listen(
      express5App(guard, (req, res, next) => {
        setImmediate(() => {
          res.end('done');
          then(req, res, next);
        });
      }),
    );
    const client = new RawClient(port).get();
    await expect.poll(() => client.received).toMatch(/done$/);
  });

  it.each(['exit', 'throw'])('%ss the process', (end) => {
    const { stdout } = runModule(`
      import { createServer, get } from 'node:http';
      import { spawn } from 'node:child_process';
      import { fileLock } from 'semlock';
      const guard = fileLock('exit', { namespace: '${namespace}' });
      const server = createServer((req, res) => guard(req, res, () => {
        res.end('bye');
        if ('${end}' === 'throw') throw new Error('broken');
        process.exit();
      }));
      server.listen(0, '127.0.0.1', () => {
        const ask = "fetch('http://127.0.0.1:" + server.address().port + "').then((r) => r.text()).then(console.log, console.log)";
        spawn(process.execPath, ['-e', ask], { stdio: 'inherit' });
      });
    `);
    expect(stdout).toContain('bye');
  });
});

describe('Parts of an answer', () => {
  it('leave while the handler waits for something else', async () => {
    const end = deferred();
    const port = await listen(
      express5App(guard, async (_req, res) => {
        res.write('one ');
        await Promise.resolve();
        res.write('two ');
        await new Promise(setImmediate);
        res.write('three ');
        await end.promise;
        res.end('four');
      }),
    );
    const client = new RawClient(port).get();
    await expect.poll(() => client.received).toContain('three ');
    end.resolve();
    await expect.poll(() => client.received).toContain('four');
  });

  it('leave in order, of several answers on one connection', async () => {
    const port = await listen(
      express5App(guard, (req, res) => {
        res.write(`${req.url!} `);
        setImmediate(() => res.end('done'));
      }),
    );
    const client = new RawClient(port);
    for (const path of ['/1', '/2', '/3']) {
      client.get(path);
      await expect.poll(() => client.received).toContain(`${path} `);
      await expect.poll(() => client.received.match(/done/g)?.length).toBe(Number(path.slice(1)));
    }
    expect(client.statuses).toEqual([200, 200, 200]);
  });

  it('leave when the answer has the connection for which it had to wait, though its handler waits for that', async () => {
    const [end, done] = [deferred(), deferred()];
    const port = await listen(
      express5App(guard, async (req, res) => {
        if (req.url === '/1') {
          res.writeHead(200, { 'Content-Length': '3' }).write('one'); // the whole of it, so that the lock is free
          await end.promise;
          res.end();
        } else {
          await new Promise((sent) => res.write('two ', sent));
          await done.promise;
          res.end('three');
        }
      }),
    );
    const client = new RawClient(port).get('/1');
    await expect.poll(() => client.received).toMatch(/one$/);
    client.get('/2');
    await new Promise((resolve) => setTimeout(resolve, 20)); // so that it has to wait
    end.resolve();
    await expect.poll(() => client.received).toContain('two ');
    expect(lock.tryAcquire()).toBeNull();
    done.resolve();
    await expect.poll(() => client.received).toContain('three');
    expect(lock.tryAcquire()?.release()).toBe(true);
  });
});
