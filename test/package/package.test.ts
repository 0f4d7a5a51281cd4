import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';

import { Consumer } from './consumer.js';
import { copySources } from './pack.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The binary of the addon for the machine that the tests run on. */
function hostBinary(): string {
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  const libc = header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  return `prebuilds/${process.platform}-${process.arch}/semlock.${libc}.node`;
}

describe('the packed package', () => {
  let consumer: Consumer;
  beforeAll(() => {
    consumer = new Consumer('javascript');
  });

  it('carries a binary for this platform, the sources to build it anywhere, and nothing for developers', () => {
    const files = consumer.run('tar', '-tzf', inject('tarball')).split('\n');
    const wanted = [
      hostBinary(),
      'binding.gyp',
      'native/binding/addon.cc',
      'dist/index.js',
      'dist/index.d.ts',
      'LICENSE',
    ];
    expect(files).toEqual(expect.arrayContaining(wanted.map((file) => `package/${file}`)));
    expect(files.filter((file) => /^package\/(test|example-app|build|\.)/.test(file))).toEqual([]);
  });

  it('has less than 1.2 MB to download, with the binaries of all platforms', () => {
    const installed = join(consumer.folder, 'node_modules/semlock');
    const binary = gzipSync(readFileSync(join(installed, hostBinary()))).length;
    const binaries = readdirSync(join(installed, 'prebuilds'), { recursive: true, encoding: 'utf8' });
    const missing = 4 - binaries.filter((file) => file.endsWith('.node')).length;
    expect(statSync(inject('tarball')).size + missing * binary).toBeLessThan(1_200_000);
  });

  it('has a binary that needs no newer glibc than 2.17, and no C++ library', () => {
    const binary = join('node_modules/semlock', hostBinary());
    const versions = consumer.run('objdump', '-T', binary).match(/GLIBC_2\.\d+/g) ?? [];
    expect(versions.length).toBeGreaterThan(0);
    expect(Math.max(...versions.map((version) => Number(version.split('.')[1])))).toBeLessThanOrEqual(17);
    expect(consumer.run('objdump', '-p', binary)).not.toMatch(/NEEDED +lib(std)?c\+\+/);
  });

  it('is installed without running a script', () => {
    expect(packagesWithScripts(consumer)).toEqual([]);
  });

  it.each(['a registry', 'a file'])('is installed from %s without a word but of what was added', async (origin) => {
    const app = mkdtempSync(join(inject('workshop'), 'app-'));
    writeFileSync(join(app, 'package.json'), '{ "private": true }');
    const manifest = consumer.readJson('node_modules/semlock/package.json') as object;
    const from = origin === 'a file' ? [inject('tarball')] : ['semlock', `--registry=${await serveRegistry(manifest)}`];
    const args = ['install', ...from, '--no-audit', '--no-fund'];
    const { stdout, stderr } = await promisify(execFile)('npm', args, { cwd: app, timeout: 100_000 });
    expect(stdout.trim()).toMatch(/^added [1-3] packages? in \S+$/);
    expect(stderr).toBe('');
  });

  it('would run one if npm were not told that binding.gyp is not for it', () => {
    const careless = new Consumer('javascript');
    const unpacked = join(careless.folder, 'unpacked');
    careless.run('tar', '-xzf', inject('tarball'));
    careless.run('mv', 'package', unpacked);
    // Nor with scripts that pack what is not there: only the sources of a release are in it.
    careless.run('npm', 'pkg', 'delete', 'gypfile', 'scripts', '--prefix', unpacked);
    careless.run('npm', 'pack', unpacked);
    careless.install('--ignore-scripts', `./${basename(inject('tarball'))}`);
    expect(packagesWithScripts(careless)).toEqual(['node_modules/semlock']);
  });

  it('is loaded from that binary, and is imported and required', () => {
    expect(consumer.run(process.execPath, 'main.mjs')).toBe('import function ledger true true\n');
    expect(consumer.run(process.execPath, 'main.cjs')).toBe('require function ledger true true\n');
    expect(consumer.run(process.execPath, quickStart(consumer))).toBe('200 done\n503 busy\n');
  });

  it('has the command semlock', () => {
    const semlock = (...args: string[]) => consumer.run('npx', '--no-install', 'semlock', ...args);
    expect(semlock('run', 'report', '--', 'npx', '--no-install', 'semlock', 'ls')).toMatch(
      /^exclusive .* report {2}\S/m,
    );
    expect(semlock('ls')).toMatch(/^No lock is held in the namespace /);
    for (const file of ['dist/cli/main.js', 'src/cli/semlock.cjs']) {
      expect(consumer.run(process.execPath, `node_modules/semlock/${file}`, 'ls')).toBe(semlock('ls'));
    }
  });

  it('is not loaded without a binary', () => {
    const bare = new Consumer('javascript');
    bare.run('rm', join('node_modules/semlock', hostBinary()));
    expect(() => bare.run(process.execPath, 'main.mjs')).toThrow('ERR_SEMLOCK_ADDON');
  });

  it.each([22, 24, 26])('runs on Node.js %i with the same binary', (major) => {
    consumer.install(`node@npm:node-${process.platform}-${process.arch}@${major}`);
    const node = join(consumer.folder, 'node_modules/node/bin/node');
    expect(consumer.run(node, '--version')).toMatch(`v${major}.`);
    expect(consumer.run(node, 'main.mjs')).toBe('import function ledger true true\n');
    expect(consumer.run(node, 'main.cjs')).toBe('require function ledger true true\n');
    expect(consumer.run(node, quickStart(consumer))).toBe('200 done\n503 busy\n');
    const restricted = ['--permission', '--allow-fs-read=*', 'main.cjs'] as const;
    expect(consumer.run(node, '--allow-addons', ...restricted)).toBe('require function ledger true true\n');
    expect(() => consumer.run(node, ...restricted)).toThrow('--allow-addons besides --permission');
  });

  it('compiles under the strict checks of TypeScript, with its declarations checked too', () => {
    const typed = new Consumer('typescript');
    typed.compile();
    expect(typed.run(process.execPath, 'dist/main.js')).toBe('typescript function ledger true true\n');
  });
});

describe('the import', () => {
  let app: Consumer;
  beforeAll(() => {
    app = new Consumer('javascript');
  });

  it('loads two files, which do not hold all of the package, and neither HTTP nor the addon', () => {
    const loaded = app.run(process.execPath, 'import-time.cjs', 'semlock', 'show');
    expect(loaded).toContain('NativeModule events');
    expect(loaded).not.toMatch(/NativeModule (_http_server|crypto)\b|semlock\.\w+\.node/);
    const installed = join(app.folder, 'node_modules/semlock/dist');
    const files = ['index.js', 'semlock.js'].map((file) => join(installed, file));
    expect(loaded.match(/^\/.*\.c?js$/gm)).toEqual([join(app.folder, 'import-time.cjs'), ...files]);
    // What it takes depends on how much Node.js has to read.
    expect(files.reduce((bytes, file) => bytes + statSync(file).size, 0)).toBeLessThan(110_000);
  });

  // In milliseconds it would be a test of the machine. Before an ES module Node.js loads more of itself.
  it.each([
    ['import-time.cjs', 0.45],
    ['import-time.mjs', 0.36],
  ])('takes less than half of what the start of Node.js does: %s', (program, most) => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: '' }; // which Node.js would read at its start
    let least = Infinity; // a busy machine adds to most of them
    for (let runs = 0; (runs < 5 || least > most) && runs < 50; runs += 1) {
      const said = execFileSync(process.execPath, [program, 'semlock'], { cwd: app.folder, env, encoding: 'utf8' });
      least = Math.min(least, Number(said));
    }
    expect(least).toBeLessThan(most);
  });

  it.each(['darwin', 'win32'])('works on %s, where locks of the machine say what to take instead', (platform) => {
    expect(app.run(process.execPath, 'elsewhere.mjs', platform).split('\n')).toEqual([
      'memory true',
      expect.stringMatching(
        `^ERR_SEMLOCK_PLATFORM .* this is ${platform} .*memoryStore\\(\\), .*any store on a server`,
      ),
      '',
    ]);
  });
});

it('is built when it is installed from a git repository', { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(inject('workshop'), 'repository-'));
  const git = (...args: string[]) => {
    execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], {
      cwd: folder,
      stdio: 'pipe',
    });
  };
  copySources(folder);
  // What only tests and checks need would take minutes to install.
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  const needed =
    /^(@nestjs\/(common|core)|@ryoppippi\/.*|@types\/.*|fastify|hono|ioredis|node-addon-api|postgres|reflect-metadata|rxjs|typescript)$/;
  manifest.devDependencies = Object.fromEntries(
    Object.entries(manifest.devDependencies).filter(([name]) => needed.test(name)),
  );
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  git('init', '--quiet');
  git('add', '--all');
  git('commit', '--quiet', '--message', 'A release');

  // Zig has compiled these sources when they were packed.
  const env = { ZIG_LOCAL_CACHE_DIR: join(root, 'node_modules/.cache/zig'), ...process.env };
  const app = new Consumer('javascript', env, `git+file://${folder}`);
  expect(app.run(process.execPath, 'main.mjs')).toBe('import function ledger true true\n');
});

interface Manifest {
  devDependencies: Record<string, string>;
}

/** A registry that has this package, and sends those who ask for others to the real one; gives its address. */
async function serveRegistry(manifest: object): Promise<string> {
  const others = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
  const { version } = manifest as { version: string };
  const server = createServer(({ url = '/' }, res) => {
    if (url === '/semlock') {
      const dist = { tarball: `${address()}semlock/-/semlock.tgz` };
      res.setHeader('content-type', 'application/json');
      const versions = { [version]: { ...manifest, dist } };
      res.end(JSON.stringify({ name: 'semlock', 'dist-tags': { latest: version }, versions }));
    } else if (url === '/semlock/-/semlock.tgz') {
      res.end(readFileSync(inject('tarball')));
    } else {
      res.writeHead(302, { location: new URL(url.slice(1), others).href }).end();
    }
  });
  const address = () => `http://localhost:${(server.address() as AddressInfo).port}/`;
  await once(server.listen(0), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return address();
}

/** The server of the README, which is asked for one file twice at once; gives the program's name. */
function quickStart({ folder }: Consumer): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, server] = /## In Express\n+```ts\n([^]*?)```/.exec(readme)!;
  const asked = `const rewrite = () => new Promise((resolve) => setTimeout(resolve, 500));
    const server = app.listen(0, async () => {
      const ask = () => fetch(\`http://localhost:\${server.address().port}/files/a\`, { method: 'PUT' });
      const answers = await Promise.all([ask(), ask()]);
      for (const answer of answers.sort((a, b) => a.status - b.status)) console.log(answer.status, await answer.text());
      server.close();
      server.closeAllConnections();
    });`;
  mkdirSync(join(folder, 'data'), { recursive: true });
  writeFileSync(join(folder, 'quick-start.mjs'), server!.replace('app.listen(3000);', asked));
  return 'quick-start.mjs';
}

function packagesWithScripts(consumer: Consumer): string[] {
  const { packages } = consumer.readJson('package-lock.json') as {
    packages: Record<string, { hasInstallScript?: boolean }>;
  };
  if (packages['node_modules/semlock'] === undefined) throw new Error('semlock was not installed');
  return Object.keys(packages).filter((name) => packages[name]?.hasInstallScript);
}
