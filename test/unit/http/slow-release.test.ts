// A store on a server takes its time to release a lock. The end of an answer waits for it, however that comes: a client that
// has the whole answer finds the lock free.

import { once } from 'node:events';
import { get, request, type IncomingMessage } from 'node:http';
import { connect as connect2, createServer as createServer2 } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { locked } from '../../../src/http/node/locked.js';
import { Lock } from '../../../src/lock.js';
import { fakeStore, someGrant } from '../../support/fake-store.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { listen, RawClient } from '../../support/http-server.js';
import { tinyStore } from '../../support/tiny-store.js';

const namespace = 'test';
const ways: Record<string, Handler> = {
  'end(data)': (_req, res) => void res.end('done'),
  'end(data), later': async (_req, res) => {
    await turn();
    res.end('done');
  },
  'write(), and end() later': async (_req, res) => {
    res.write('do');
    await turn();
    res.write('ne');
    await turn();
    res.end();
  },
  'a known length, and end() later': async (_req, res) => {
    res.writeHead(200, { 'Content-Length': 4 });
    res.write('do');
    await turn();
    res.write('ne');
    await turn();
    res.end();
  },
  'pipe()': (_req, res) => void Readable.from(['do', 'ne']).pipe(res),
  'the head alone, and end() later': async (_req, res) => {
    res.writeHead(204).flushHeaders();
    await turn();
    res.end();
  },
  'an early release': async (req, res) => {
    await turn();
    req.lock.release();
    res.end('done');
  },
};
const lengths: Record<string, number> = { 'the head alone, and end() later': 0 };

/** Sends a request; gives the length of the answer when all of it has come. */
type Send = () => Promise<number>;

function overHttp1(port: number): Send {
  return async () => {
    const [answer] = (await once(get({ port, host: '127.0.0.1' }), 'response')) as [IncomingMessage];
    let length = 0;
    for await (const chunk of answer) length += (chunk as Buffer).length;
    return length;
  };
}

async function overHttp2(listener: (...args: never[]) => unknown): Promise<Send> {
  const server = createServer2(listener as never).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connect2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  return async () => {
    const stream = session.request({ ':path': '/' });
    let length = 0;
    for await (const chunk of stream) length += (chunk as Buffer).length;
    return length;
  };
}

const forms: Record<string, (handler: Handler, store: ReturnType<typeof tinyStore>) => Handler> = {
  'fileLock()': (handler, store) => {
    const guard = fileLock('file', { namespace, store });
    return (req, res) => guard(req, res, () => handler(req, res, () => undefined));
  },
  'locked()': (handler, store) => locked('file', handler as never, { namespace, store }) as Handler,
  'two locks': (handler, store) => {
    const guards = [fileLock('file', { namespace, store }), fileLock('other', { namespace, store })] as const;
    return (req, res) =>
      guards[0](req, res, () => guards[1](req, res, () => handler(req, res, () => undefined) as never));
  },
};
const cases = Object.keys(forms).flatMap((form) =>
  [1, 2].flatMap((version) => Object.keys(ways).map((way) => ({ form, version, way }))),
);

describe('A client that has the whole answer finds the lock free', () => {
  it.each(cases)('$form, HTTP/$version, $way', async ({ form, version, way }) => {
    const store = tinyStore(30);
    const lock = new Lock('file', { namespace, store });
    const handler = forms[form]!(ways[way]!, store);
    const listener = (req: never, res: never) => void handler(req, res, () => undefined);
    const send = version === 1 ? overHttp1(await listen(listener as never)) : await overHttp2(listener);
    for (let times = 0; times < 2; times += 1) {
      expect(await send()).toBe(lengths[way] ?? 4);
      // Of two locks an early release gives back one.
      if (form !== 'two locks' || way !== 'an early release')
        expect(await lock.run(() => true, { timeoutMs: 0 })).toBe(true);
    }
  });

  it('and its other requests on the same connection do not wait for it', async () => {
    const store = tinyStore(30);
    const port = await listen(express5App(fileLock('file', { namespace, store }) as Handler, ways['end(data)']!));
    const client = new RawClient(port);
    for (const times of [1, 2, 3]) {
      client.get();
      await expect.poll(() => client.statuses).toHaveLength(times);
    }
    expect(client.statuses).toEqual([200, 200, 200]);
  });
});

describe('An answer', () => {
  const neverReleases = () =>
    fakeStore(
      { acquire: () => Promise.resolve(someGrant), release: () => new Promise(() => undefined) },
      { sync: false },
    );

  it('comes all the same from a store that does not answer, after some seconds', async () => {
    const guard = fileLock('file', { namespace, store: neverReleases() }) as Handler;
    const port = await listen(express5App(guard, ways['end(data)']!));
    const beginning = performance.now();
    expect(await overHttp1(port)()).toBe(4);
    expect(performance.now() - beginning).toBeGreaterThan(4_900);
  });

  it('passes in parts meanwhile, as long as it goes on', async () => {
    const guard = fileLock('file', { namespace, store: tinyStore(30) }) as Handler;
    const port = await listen(
      express5App(guard, async (_req, res) => {
        res.write('one ');
        await sleep(100);
        res.end('two');
      }),
    );
    const [answer] = (await once(request({ port, host: '127.0.0.1' }).end(), 'response')) as [IncomingMessage];
    const [first] = (await once(answer.setEncoding('utf8'), 'data')) as [string];
    expect(first).toBe('one ');
    answer.resume();
    await once(answer, 'end');
  });
});
