// The example starts or says in one sentence why not, replaces a worker that dies, and leaves nothing behind.

import { existsSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it, onTestFinished } from 'vitest';

import { filesOf, scratchNamespace } from '../../support/shm.js';
import { exampleForTest, runExample, until } from './example-process.js';

const namespace = scratchNamespace();

describe('starting', () => {
  it.each([
    [{ PORT: 'http' }, 'PORT must be a whole number from 0 to 65535, but is "http"'],
    [{ PORT: '65536' }, 'PORT must be a whole number from 0 to 65535, but is "65536"'],
    [{ PORT: '-1' }, 'PORT must be a whole number from 0 to 65535, but is "-1"'],
    [{ WORKERS: '0' }, 'WORKERS must be a whole number from 1 to 64, but is "0"'],
    [{ WORKERS: 'four' }, 'WORKERS must be a whole number from 1 to 64, but is "four"'],
    [{ LOCK: 'Process' }, 'LOCK must be one of process, thread, none, but is "Process"'],
  ])('refuses %o in one sentence', async (env, sentence) => {
    const { code, output, errors } = await runExample(env).ended;

    expect({ code, output, errors }).toEqual({ code: 1, output: '', errors: `example-app: ${sentence}\n` });
  });

  it('says once that its port is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;

    const { code, output, errors } = await runExample({ PORT: String(port) }).ended;

    expect({ code, output }).toEqual({ code: 1, output: '' });
    expect(errors).toBe(`example-app: port ${port} is taken; choose another one: PORT=3001 npm start\n`);
  });

  it('says in one sentence that the platform is not supported', async () => {
    const elsewhere = 'data:text/javascript,Object.defineProperty(process,"platform",{value:"win32"})';

    const { code, output, errors } = await runExample({}, ['--import', elsewhere]).ended;

    expect({ code, output }).toEqual({ code: 1, output: '' });
    expect(errors).toMatch(/^example-app: locks between processes of one machine need Linux .*\n$/);
  });

  it('starts as many workers as it is told', async () => {
    const example = await exampleForTest({ WORKERS: '2', SEMLOCK_NAMESPACE: namespace });
    const answers = await example.atOnce(6, '/status');

    expect(new Set(answers.map(({ worker }) => worker)).size).toBe(2);
  });
});

describe('while it runs', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)('replaces a worker that ended by %s', async (signal) => {
    const example = await exampleForTest({ WORKERS: '2', SEMLOCK_NAMESPACE: namespace });
    const victim = (await example.whenFree('/status')).worker;
    process.kill(Number(victim), signal);
    await until(() => example.output().includes(`${victim} ended`), 'its end is noticed');

    const seen = new Set<string | null>();
    await until(async () => seen.add((await example.whenFree('/status')).worker).size === 2, 'two workers answer');
    expect(seen).not.toContain(victim);
  });

  it('gives the lock of a worker that was killed to the next one', async () => {
    const example = await exampleForTest({ WORKERS: '2', SEMLOCK_NAMESPACE: namespace });
    const working = example.whenFree('/journal?ms=10000', { method: 'POST' }).catch((error: unknown) => error);
    await until(() => / lock$/m.test(example.output()), 'a worker has the lock');
    const [, victim] = /(\d+) lock$/m.exec(example.output())!;

    process.kill(Number(victim), 'SIGKILL');

    expect(await working).toBeInstanceOf(Error);
    expect((await example.whenFree('/journal/check')).status).toBe(200);
  });
});

describe('Ctrl-C', () => {
  it.each([
    ['SIGINT to the primary', 'SIGINT', 1],
    ['SIGINT to the whole process group, as a terminal sends it', 'SIGINT', -1],
    ['SIGTERM to the primary', 'SIGTERM', 1],
    ['SIGHUP to the whole process group, as a closed terminal sends it', 'SIGHUP', -1],
  ] as const)('%s ends it soon and leaves nothing behind', async (_case, signal, target) => {
    const example = await exampleForTest({ SEMLOCK_NAMESPACE: namespace });
    for (const path of ['/journal', '/ledger', '/report']) await example.whenFree(path, { method: 'POST' });
    expect(existsSync(example.folder)).toBe(true);
    expect(filesOf(namespace).length).toBeGreaterThan(0);

    const since = Date.now();
    process.kill(target * example.pid, signal);
    const ending = await example.ended;

    expect(Date.now() - since).toBeLessThan(2000);
    expect(ending).toMatchObject({ code: 0, signal: null, errors: '' });
    expect(existsSync(example.folder)).toBe(false);
    expect(filesOf(namespace)).toEqual([]);
  });

  it('lets a worker finish the file that it works on', async () => {
    const example = await exampleForTest({ SEMLOCK_NAMESPACE: namespace });
    const working = example.whenFree('/journal?ms=700', { method: 'POST' });
    await until(() => / lock$/m.test(example.output()), 'a worker has the lock');

    process.kill(-example.pid, 'SIGINT');

    expect((await working).status).toBe(200);
    expect(await example.ended).toMatchObject({ code: 0, signal: null, errors: '' });
    expect(example.output()).toMatch(/ unlock$/m);
    expect(filesOf(namespace)).toEqual([]);
  });

  it('does not wait for connections that carry no request', async () => {
    const example = await exampleForTest({ SEMLOCK_NAMESPACE: namespace });
    const { hostname, port } = new URL(example.url);
    const idle = connect(Number(port), hostname);
    onTestFinished(() => void idle.destroy());
    await once(idle, 'connect');
    // The primary deals connections out in turn: when the others have been answered, this one is with a worker.
    await example.atOnce(4, '/status');

    const since = Date.now();
    process.kill(example.pid, 'SIGINT');
    await example.ended;

    expect(Date.now() - since).toBeLessThan(2000);
  });

  it('that comes twice at the same moment, as under npm, lets a worker finish', async () => {
    const example = await exampleForTest({ SEMLOCK_NAMESPACE: namespace });
    const working = example.whenFree('/journal?ms=1500', { method: 'POST' });
    await until(() => / lock$/m.test(example.output()), 'a worker has the lock');

    process.kill(example.pid, 'SIGINT');
    await sleep(50); // two that are pending together would come as one
    process.kill(example.pid, 'SIGINT');

    expect((await working).status).toBe(200);
    expect(await example.ended).toMatchObject({ code: 0, signal: null });
  });

  it('again, later, does not wait for the work in progress', async () => {
    const example = await exampleForTest({ SEMLOCK_NAMESPACE: namespace });
    const working = example.whenFree('/journal?ms=10000', { method: 'POST' }).catch((error: unknown) => error);
    await until(() => / lock$/m.test(example.output()), 'a worker has the lock');

    process.kill(-example.pid, 'SIGINT');
    const again = setInterval(() => process.kill(-example.pid, 'SIGINT'), 400);
    onTestFinished(() => clearInterval(again));
    void example.ended.then(() => clearInterval(again));

    const since = Date.now();
    expect(await example.ended).toMatchObject({ code: 1, signal: null });
    expect(await working).toBeInstanceOf(Error);
    expect(Date.now() - since).toBeLessThan(5000);
    expect(filesOf(namespace), 'for the news of what was not finished').not.toEqual([]);

    const next = await exampleForTest({ SEMLOCK_NAMESPACE: namespace });
    expect((await next.whenFree('/journal', { method: 'POST' })).status).toBe(200);
    process.kill(next.pid, 'SIGINT');
    await next.ended;
    expect(filesOf(namespace)).toEqual([]);
  });
});
