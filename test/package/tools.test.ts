// What people build, test and start their apps with: each works with the package as it is installed, or its user is told
// what to do. The app is test/package/tools/app.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, realpathSync, symlinkSync, utimesSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';

import { removeFilesOf } from '../support/shm.js';
import { Consumer } from './consumer.js';

const WORKS = /^works function true true function$/m;

let app: Consumer;
beforeAll(() => {
  app = new Consumer('tools/app');
});
// What killed programs have left: of the app, and of the folder that Jest and Vitest are really in, whose processes end their
// workers by a signal.
afterAll(() => {
  removeFilesOf(realpathSync(app.folder));
  removeFilesOf(fileURLToPath(new URL('tools', import.meta.url)));
});

const bin = (tool: string): string => join(inject('workshop'), 'node_modules/.bin', tool);
const read = (file: string): string => readFileSync(join(app.folder, file), 'utf8');

describe.concurrent('the installed package is used by', () => {
  it.each([
    ['Node.js, as ES modules', process.execPath, 'main.mjs'],
    ['Node.js, as CommonJS', process.execPath, 'main.cjs'],
    ['tsx', 'tsx', 'ts/main.ts'],
    ['ts-node', 'ts-node', 'ts/main.ts'],
  ])('%s', async (_what, program, file) => {
    expect(await app.output(program === process.execPath ? program : bin(program), file)).toMatch(WORKS);
  });

  it.each([
    ['Jest as it comes', 'jest', ['--rootDir', 'jest'], 3],
    ['ts-jest', 'jest', ['--config', 'jest/ts-jest.config.js'], 1],
    ['Vitest', 'vitest', ['run', '--root', 'vitest'], 3],
  ])('%s', async (_what, program, args, passed) => {
    const output = await app.output(bin(program), ...args);
    expect(output).toMatch(
      new RegExp(`Tests: +${passed} passed, ${passed} total|Tests +${passed} passed \\(${passed}\\)`),
    );
  });

  it.each([
    ['Jest', bin('jest'), ['--rootDir', 'conformance'], /^Tests: +(\d+) passed, \1 total$/m],
    [
      'node:test',
      process.execPath,
      ['--test', '--test-reporter=tap', 'conformance/stores.mjs'],
      /^# pass (\d+)\n# fail 0$/m,
    ],
  ])('%s, which runs the suite for stores', async (_what, program, args, all) => {
    const output = await app.output(program, ...args);
    expect(output).toMatch(all);
    expect(Number(all.exec(output)?.[1])).toBeGreaterThan(50);
  });

  it('two workers of Jest, which semlock/testing keeps apart', async () => {
    const runs = [[], ['--setupFiles', 'semlock/testing']].map(async (setUp) => {
      const env = { ...process.env, MEETING: mkdtempSync(join(inject('workshop'), 'meeting-')), SEMLOCK_NAMESPACE: '' };
      const args = ['--rootDir', 'jest-workers', '--maxWorkers', '2', ...setUp];
      const jest = spawn(bin('jest'), args, { cwd: app.folder, env });
      const output = text(jest.stderr);
      await once(jest, 'exit');
      return output;
    });
    const [without, withIt] = await Promise.all(runs);
    expect(without).toContain('collides with the other worker');
    expect(withIt).toMatch(/Tests: +2 passed, 2 total/);
  });

  it('PM2, whose processes have the locks of all others of the app', async ({ expect }) => {
    const { env, told } = stays('pm2');
    const holder = spawn(process.execPath, ['stays.cjs'], { cwd: app.folder, env });
    await expect.poll(told, { timeout: 20_000 }).toEqual(['held']);

    const pm2 = spawn(bin('pm2-runtime'), ['start', 'stays.cjs', '-i', '2', '--no-autorestart'], {
      cwd: app.folder,
      env: { ...env, BRIEFLY: 'yes', PM2_HOME: join(inject('workshop'), 'pm2') },
      stdio: 'ignore',
    });
    await expect.poll(told, { timeout: 20_000 }).toEqual(['held', 'busy', 'busy']);
    holder.stdin.end();
    await expect.poll(told, { timeout: 20_000 }).toEqual(['held', 'busy', 'busy', 'held', 'held']);
    if (pm2.exitCode === null) {
      pm2.kill('SIGINT');
      await once(pm2, 'exit');
    }
  });

  it('node --watch, which kills the app and starts it again', async ({ expect }) => {
    const { env, told } = stays('watch');
    const script = join(app.folder, 'watched.cjs');
    cpSync(join(app.folder, 'stays.cjs'), script);
    const watcher = spawn(process.execPath, ['--watch', script], { cwd: app.folder, env });
    await expect.poll(told, { timeout: 20_000 }).toEqual(['held']);
    utimesSync(script, new Date(), new Date());
    await expect.poll(told, { timeout: 20_000 }).toEqual(['held', 'held']);
    watcher.kill();
    await once(watcher, 'exit');
  });
});

/** The environment of stays.cjs, and what it has told. */
function stays(lock: string) {
  const log = join(app.folder, `${lock}.log`);
  return {
    env: { ...process.env, LOCK: lock, LOG: log },
    told: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  };
}

const bundlers = [
  {
    bundler: 'esbuild, as an ES module',
    build: ['esbuild', 'main.mjs', '--bundle', '--platform=node', '--format=esm', '--outfile=out/esbuild/main.mjs'],
    leaveOut: ['--external:semlock', '--external:semlock/*'],
    bundle: 'out/esbuild/main.mjs',
    advice: '--external:semlock',
  },
  {
    bundler: 'esbuild, as CommonJS',
    build: ['esbuild', 'main.cjs', '--bundle', '--platform=node', '--format=cjs', '--outfile=out/esbuild-cjs/main.cjs'],
    leaveOut: ['--external:semlock', '--external:semlock/*'],
    bundle: 'out/esbuild-cjs/main.cjs',
    advice: '--external:semlock',
  },
  {
    bundler: 'webpack',
    build: ['webpack', '--mode', 'production', '--target', 'node20', '--entry', './main.mjs', '-o', 'out/webpack'],
    leaveOut: ['--config', 'webpack-external.config.cjs'],
    bundle: 'out/webpack/main.js',
    advice: "externalsType: 'commonjs', externals: [/^semlock/]",
  },
  {
    bundler: 'Rollup',
    build: ['rollup', '--config', '--file', 'out/rollup/main.mjs'],
    leaveOut: ['--external', 'semlock,semlock/fetch'],
    bundle: 'out/rollup/main.mjs',
    advice: 'external: [/^semlock/]',
  },
  {
    bundler: 'vite build --ssr',
    build: ['vite', 'build', '--ssr', 'main.mjs', '--outDir', 'out/vite'],
    // It leaves packages out unless it is told otherwise.
    takeIn: ['--config', 'vite-no-external.config.mjs'],
    leaveOut: [],
    bundle: 'out/vite/main.mjs',
    advice: "ssr: { external: ['semlock'] }",
  },
];

describe.concurrent('the package in one file with the app, by', () => {
  it.each(bundlers)('$bundler', async ({ build: [tool, ...args], takeIn = [], bundle, advice }) => {
    const output = await app.output(bin(tool!), ...args, ...takeIn);
    expect(existsSync(join(app.folder, bundle)), output).toBe(true);
    expect(await app.output(process.execPath, bundle), 'the package is still installed').toMatch(WORKS);

    const dist = join(mkdtempSync(join(inject('workshop'), 'image-')), 'dist');
    cpSync(join(app.folder, bundle, '..'), dist, { recursive: true });
    const file = join(dist, bundle.split('/').at(-1)!);
    expect(await app.output(process.execPath, file)).toContain(advice);
    for (const place of [join(dist, 'prebuilds'), join(dist, '../prebuilds')]) {
      cpSync(join(app.folder, 'node_modules/semlock/prebuilds'), place, { recursive: true });
      expect(await app.output(process.execPath, file), place).toMatch(WORKS);
      rmSync(place, { recursive: true });
    }
  });

  it('ncc, which takes the addon along', async () => {
    await app.output(bin('ncc'), 'build', 'main.mjs', '--out', 'out/ncc');
    const elsewhere = mkdtempSync(join(inject('workshop'), 'image-'));
    cpSync(join(app.folder, 'out/ncc'), elsewhere, { recursive: true });
    expect(await app.output(process.execPath, join(elsewhere, 'index.mjs'))).toMatch(WORKS);
  });
});

describe.concurrent('the package left out of the file of the app, by', () => {
  it.each(bundlers)('$bundler', async ({ build: [tool, ...args], leaveOut, bundle }) => {
    const outside = bundle.replace('out/', 'out-external/');
    const replaced = args.map((arg) => arg.replace('out/', 'out-external/'));
    const output = await app.output(bin(tool!), ...replaced, ...leaveOut);
    expect(existsSync(join(app.folder, outside)), output).toBe(true);
    expect(read(outside)).not.toContain('ERR_SEMLOCK_OPTION');
    expect(await app.output(process.execPath, outside)).toMatch(WORKS);
  });

  it('ncc', async () => {
    await app.output(
      bin('ncc'),
      'build',
      'main.cjs',
      '--out',
      'out-external/ncc',
      '--external',
      'semlock',
      '--external',
      'semlock/fetch',
    );
    expect(read('out-external/ncc/index.cjs')).not.toContain('ERR_SEMLOCK_OPTION');
    expect(await app.output(process.execPath, 'out-external/ncc/index.cjs')).toMatch(WORKS);
  });
});

it('what traces the files of an app, as Next.js does, finds the addon', async () => {
  const files = (await app.output(process.execPath, 'trace.cjs', 'main.mjs')).split('\n');
  const traced = mkdtempSync(join(inject('workshop'), 'traced-'));
  for (const file of files.filter((each) => each !== '' && existsSync(join(app.folder, each)))) {
    cpSync(join(app.folder, file), join(traced, file), { recursive: true });
  }
  expect(await app.output(process.execPath, join(traced, 'main.mjs'))).toMatch(WORKS);
});

it('is installed without a compiler and, with what is in the cache, without a network', () => {
  const path = mkdtempSync(join(inject('workshop'), 'bin-'));
  for (const command of ['node', 'npm', 'sh']) symlinkSync(commandPath(command), join(path, command));
  const bare = new Consumer('javascript', { ...process.env, PATH: path, npm_config_offline: 'true' });
  expect(bare.run(process.execPath, 'main.mjs')).toBe('import function ledger true true\n');
  const { packages } = bare.readJson('package-lock.json') as { packages: Record<string, unknown> };
  expect(Object.keys(packages).filter((folder) => folder !== '').length).toBeLessThanOrEqual(3);
});

function commandPath(command: string): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, command)).find((file) => existsSync(file))!;
}
