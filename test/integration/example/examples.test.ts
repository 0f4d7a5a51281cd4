// The short examples do what they say. The servers are started twice, and what they count in a file shows whether they
// exclude each other.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, it, onTestFinished } from 'vitest';

import { runModule } from '../../support/run-program.js';
import { scratchNamespace } from '../../support/shm.js';

const folder = fileURLToPath(new URL('../../../examples', import.meta.url));
const command = fileURLToPath(new URL('../../../src/cli/semlock.cjs', import.meta.url));
const examples = readdirSync(folder).filter((file) => file.endsWith('.mjs'));
const servers = ['express.mjs', 'fastify.mjs', 'hono.mjs', 'koa.mjs', 'node-http.mjs'];

// The servers are killed, and their locks of files are in a namespace that is not theirs: whoever leaves it last clears it.
afterAll(() => {
  const { stderr } = runModule(`import { Lock } from 'semlock'; new Lock({ file: '/x' }).tryAcquire().release();`);
  expect(stderr).toBe('');
});

interface Place {
  readonly cwd: string;
  readonly namespace: string;
}

/** Where an example runs: a folder of its own with a folder `data`, and locks of its own. */
function place(): Place {
  const cwd = mkdtempSync(join(tmpdir(), 'semlock-examples-'));
  mkdirSync(join(cwd, 'data'));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  return { cwd, namespace: scratchNamespace() };
}

interface Run {
  readonly child: ChildProcess;
  /** The lines that it prints. */
  readonly lines: AsyncIterator<string>;
}

function start(example: string, { cwd, namespace }: Place, env: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [join(folder, example)], {
    cwd,
    env: { ...process.env, PORT: '0', SEMLOCK_NAMESPACE: namespace, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => stop(child, 'SIGKILL'));
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

async function line({ lines }: Run): Promise<string | undefined> {
  const { value, done } = await lines.next();
  return done === true ? undefined : value;
}

async function all(run: Run): Promise<string[]> {
  const printed: string[] = [];
  for (let next = await line(run); next !== undefined; next = await line(run)) printed.push(next);
  return printed;
}

/** Sends requests to two processes of a server at once; gives what they have counted. */
async function count(example: string): Promise<number> {
  const where = place();
  const addresses = await Promise.all([start(example, where), start(example, where)].map(line));
  const requests = Array.from({ length: 40 }, async (_, index) => {
    const { status } = await fetch(`${addresses[index % 2]}/files/visits`, { method: 'POST' });
    expect(status).toBe(200);
  });
  await Promise.all(requests);
  return Number(readFileSync(join(where.cwd, 'data/visits'), 'utf8'));
}

describe('each example', () => {
  it.each(examples)('%s has at most 30 lines, and is in the list', (example) => {
    expect(readFileSync(join(folder, example), 'utf8').split('\n').length - 1).toBeLessThanOrEqual(30);
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(`[${example}](${example})`);
  });
});

describe('a server', () => {
  it.each(servers)('%s counts each request once, in two processes', async (example) => {
    expect(await count(example)).toBe(40);
  });

  it('loses some without the lock', async () => {
    const text = readFileSync(join(folder, 'express.mjs'), 'utf8');
    const without = join(folder, `unlocked-${process.pid}.mjs`);
    writeFileSync(without, text.replace('fileLock({ file: path, waitMs: 5_000 }), ', ''));
    onTestFinished(() => rmSync(without));
    expect(await count(without.slice(folder.length + 1))).toBeLessThan(40);
  });
});

describe('transfer.mjs', () => {
  const text = readFileSync(join(folder, 'transfer.mjs'), 'utf8');

  /** Transfers between two files in both directions at once, in two processes; the files, and how the requests were answered. */
  async function transfer(example: string, requests: number) {
    const where = place();
    for (const name of ['a', 'b']) writeFileSync(join(where.cwd, 'data', name), '0');
    const addresses = await Promise.all([start(example, where), start(example, where)].map(line));
    const answers = Array.from({ length: requests }, async (_, index) => {
      const path = index % 4 < 2 ? 'a/b' : 'b/a';
      return (await fetch(`${addresses[index % 2]}/transfer/${path}`, { method: 'POST' })).status;
    });
    const statuses = await Promise.all(answers);
    return { statuses, files: ['a', 'b'].map((name) => Number(readFileSync(join(where.cwd, 'data', name), 'utf8'))) };
  }

  it('answers all, and loses nothing', async () => {
    const { statuses, files } = await transfer('transfer.mjs', 44);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(files[0]! + files[1]!).toBe(0);
  });

  it('would have requests wait for each other if each took one file and then the other', async () => {
    const one = (at: number) => `fileLock({ file: (req) => paths(req)[${at}], waitMs: 1_000 })`;
    const after = '(req, res, next) => setTimeout(next, 50)'; // so that both have the first one
    const apart = join(folder, `apart-${process.pid}.mjs`);
    const replaced = text.replace('fileLock({ files: paths, waitMs: 5_000 })', `${one(0)}, ${after}, ${one(1)}`);
    expect(replaced).not.toBe(text);
    writeFileSync(apart, replaced);
    onTestFinished(() => rmSync(apart));
    expect((await transfer(apart.slice(folder.length + 1), 8)).statuses).toContain(503);
  });
});

it('metrics.mjs counts what its lock does', async () => {
  const address = await line(start('metrics.mjs', place()));
  const texts = await Promise.all([1, 2, 3].map(async () => (await fetch(address!)).text()));
  expect(texts.sort()).toEqual(['busy', 'busy', 'done\n']);
  const metrics = await (await fetch(`${address}/metrics`)).text();
  expect(metrics).toContain('semlock_acquired_total{lock="report"} 1\n');
  expect(metrics).toContain('semlock_busy_total{lock="report"} 2\n');
  const held = Number(/^semlock_held_seconds_total\{lock="report"\} (\S+)$/m.exec(metrics)?.[1]);
  expect(held).toBeGreaterThan(0.045);
});

describe('a script', () => {
  it('cluster.mjs counts to 400', async () => {
    expect(await all(start('cluster.mjs', place()))).toEqual(['400']);
  });

  it('cron.mjs does its work, one after the other, and says when the file is in use', async () => {
    const where = place();
    const file = join(where.cwd, 'data/sum');
    writeFileSync(file, '0');
    const runs = [start('cron.mjs', where), start('cron.mjs', where), start('cron.mjs', where)];
    expect(await Promise.all(runs.map(all))).toEqual([['done'], ['done'], ['done']]);
    expect(readFileSync(file, 'utf8')).toBe('3');

    const holder = spawn(command, ['run', '--file', file, 'sh', '-c', 'echo held; exec cat']);
    await once(holder.stdout, 'data');
    const late = start('cron.mjs', where, { WAIT_MS: '100' });
    expect(await all(late)).toEqual(['the file is in use']);
    holder.stdin.end();
    await once(holder, 'exit');
  });

  it('semaphore.mjs has at most two at a time', async () => {
    const where = place();
    const printed = await all(start('semaphore.mjs', where));
    expect(printed.length).toBe(8);
    let at = 0;
    for (const each of printed) {
      at += each.startsWith('begin') ? 1 : -1;
      expect(at).toBeLessThanOrEqual(2);
    }
  });

  it('leader.mjs has one leader, and another when that ends or dies', async () => {
    const where = place();
    const first = start('leader.mjs', where);
    expect([await line(first), await line(first)]).toEqual([
      'follows',
      expect.stringMatching(/^leads \(in good order/),
    ]);
    const [second, third] = [start('leader.mjs', where), start('leader.mjs', where)];
    expect([await line(second), await line(third)]).toEqual(['follows', 'follows']);

    await stop(first.child, 'SIGKILL');
    const leader = await Promise.race([second, third].map((each) => line(each).then((said) => ({ each, said }))));
    expect(leader.said).toMatch(/^leads \(the last leader died/);
    for (const { child } of [second, third]) {
      await stop(child, 'SIGTERM');
      expect(child.exitCode).toBe(0);
    }
  });
});
