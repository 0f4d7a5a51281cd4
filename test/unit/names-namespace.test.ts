// Two processes of one app that derive different namespaces have different locks and do not know it. So the less usual
// ways to start an app, its other processes and its threads, must all come to the same one. The usual ways are in
// primitives/names.test.ts.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const NAMES = new URL('../../dist/namespace.js', import.meta.url).href;
const PRINT = `import('${NAMES}').then(({ defaultNamespace }) => console.log(defaultNamespace()));`;

let folder: string;
let app: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-names-')));
  app = makePackage('app');
});
afterEach(() => rmSync(folder, { recursive: true }));

function makePackage(...path: string[]): string {
  write(join(...path, 'package.json'), JSON.stringify({ name: path.at(-1) }));
  return join(folder, ...path);
}

function write(path: string, source: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source);
  return file;
}

/** What Node.js prints when it is started with these arguments, in a folder that has no part in it. */
function node(args: readonly string[], { cwd = '/', env = {}, input = '' } = {}): string {
  const options = { cwd, input, encoding: 'utf8', env: { ...process.env, SEMLOCK_NAMESPACE: '', ...env } } as const;
  const { stdout, stderr } = spawnSync(process.execPath, args, options);
  expect(stderr).toBe('');
  return stdout.trim();
}

describe('the main script, as Node.js was told it', () => {
  it('may lack its extension and lie behind a link', () => {
    write('app/server.js', PRINT);
    symlinkSync(app, join(folder, 'current'));
    expect(node([join(folder, 'current/server')])).toBe(app);
  });

  it.each([['--eval'], ['-e']])('is not an argument of the code that follows %s', (option) => {
    const other = makePackage('other');
    const script = write('other/script.js', '');
    expect(node([option, PRINT, script], { cwd: app })).toBe(app);
    expect(node([option, PRINT, script], { cwd: other })).toBe(other);
  });

  it('is not an argument of the code on standard input', () => {
    makePackage('other');
    const script = write('other/script.js', '');
    expect(node(['-', script], { cwd: app, input: PRINT })).toBe(app);
  });
});

describe('a package.json', () => {
  const FILE_FORMAT = '{"type":"commonjs"}';

  it('that says neither name nor version only tells how to read the files beside it', () => {
    write('app/lib/package.json', FILE_FORMAT);
    expect(node([write('app/lib/server.js', PRINT)])).toBe(app);
  });

  it('that says neither still tells an app apart where there is no other', () => {
    const plain = dirname(write('plain/package.json', '{"dependencies":{"express":"5"}}'));
    expect(node([write('plain/jobs/report.js', PRINT)])).toBe(plain);
  });

  it('in a build folder belongs to the package that was built', () => {
    for (const path of ['dist', 'dist/apps/api', '.next/standalone', 'build/server']) {
      makePackage('app', path);
      expect(node([write(`app/${path}/server.js`, PRINT)])).toBe(app);
    }
  });

  it('in a folder of that name is an app where nothing above it is a package', () => {
    const deployed = makePackage('srv', 'build', 'shop');
    expect(node([write('srv/build/shop/server.js', PRINT)])).toBe(deployed);
  });

  it('that is half written counts', () => {
    write('app/inner/package.json', '{"name":');
    expect(node([write('tool/tool.js', PRINT)], { cwd: join(app, 'inner') })).toBe(join(app, 'inner'));
  });
});

describe('an app server that loads the app from a file of its own', () => {
  it.each([
    'usr/share/passenger/helper-scripts/node-loader.js',
    'gems/passenger-6.0.27/src/helper-scripts/node-loader.js',
    'usr/local/lsws/fcgi-bin/lsnode.js',
    'var/runtime/index.mjs',
  ])('has the namespace of the app in whose folder it works: %s', (file) => {
    makePackage(file.split('/')[0]!); // as the gem of Passenger has one
    const other = makePackage('blog');
    const loader = write(file, PRINT);
    expect(node([loader], { cwd: app })).toBe(app);
    expect(node([loader], { cwd: other })).toBe(other);
  });

  it('needs not be known where it belongs to no package', () => {
    expect(node([write('opt/host/loader.js', PRINT)], { cwd: app })).toBe(app);
  });
});

describe('a main script within node_modules', () => {
  it('belongs to the app that has it installed, also when it was started through its link', () => {
    makePackage('app/node_modules/framework');
    const script = write('app/node_modules/framework/bin/start.js', PRINT);
    mkdirSync(join(app, 'node_modules/.bin'));
    symlinkSync(script, join(app, 'node_modules/.bin/start'));
    expect(node([join(app, 'node_modules/.bin/start')])).toBe(app);
  });

  it('belongs to that app however deep it lies', () => {
    makePackage('app/node_modules/.pnpm/framework@1.0.0/node_modules/framework');
    expect(node([write('app/node_modules/.pnpm/framework@1.0.0/node_modules/framework/start.js', PRINT)])).toBe(app);
  });

  it('is an app of its own where it is installed for all', () => {
    const command = makePackage('usr/lib/node_modules/command');
    makePackage('usr');
    expect(node([write('usr/lib/node_modules/command/bin/command.js', PRINT)])).toBe(command);
  });
});

describe('a worker thread', () => {
  const startWorker = (file: string) => `new (require('node:worker_threads').Worker)(${JSON.stringify(file)});`;

  it('has the namespace of the program also when another worker thread started it', () => {
    makePackage('elsewhere');
    const inner = write('elsewhere/inner.js', PRINT);
    const outer = write('elsewhere/outer.js', startWorker(inner));
    const main = write('app/main.js', `import('${NAMES}').then(() => { ${startWorker(outer)} });`);
    expect(node([main])).toBe(app);
  });

  it('has that of the app also when the program itself has not imported semlock, and a library starts it', () => {
    makePackage('app/node_modules/pool');
    const worker = write('app/node_modules/pool/worker.js', PRINT);
    expect(node([write('app/main.js', startWorker(worker))])).toBe(app);
  });
});

describe('a worker of a cluster', () => {
  it('has the namespace of its primary', () => {
    const script = write(
      'app/main.js',
      `const cluster = require('node:cluster');
       if (cluster.isPrimary) cluster.fork(); else cluster.worker.disconnect();
       ${PRINT}`,
    );
    expect(node([script]).split('\n')).toEqual([app, app]);
  });
});

describe('an app that PM2 starts in its cluster mode', () => {
  it('has its own namespace, not that of the PM2 that is installed for all', () => {
    makePackage('usr/lib/node_modules/pm2');
    const loader = 'require(process.env.pm_exec_path);';
    const container = write('usr/lib/node_modules/pm2/lib/ProcessContainer.js', loader);
    const script = write('app/server.js', PRINT);
    expect(node([container], { env: { pm_exec_path: script } })).toBe(app);
  });
});

describe('the namespace of the working folder', () => {
  const print = `import('${NAMES}').then(({ workingFolderNamespace }) => console.log(workingFolderNamespace().name));`;

  it('is that of the app there, wherever the script is', () => {
    const tool = write('tool/tool.js', print);
    mkdirSync(join(app, 'jobs'));
    symlinkSync(app, join(folder, 'current'));
    expect(node([tool], { cwd: app })).toBe(app);
    expect(node([tool], { cwd: join(app, 'jobs') })).toBe(app);
    expect(node([tool], { cwd: join(folder, 'current/jobs') })).toBe(app);
  });

  it('is the folder itself where there is no app', () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    expect(node([write('tool/tool.js', print)], { cwd: place })).toBe(place);
  });

  it('is what SEMLOCK_NAMESPACE says', () => {
    expect(node([write('tool/tool.js', print)], { cwd: app, env: { SEMLOCK_NAMESPACE: 'chosen' } })).toBe('chosen');
  });
});
