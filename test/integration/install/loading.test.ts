// Where the addon cannot be loaded, using the package fails with a code and one sentence that says what to do.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';

import { runModule, runProgram } from '../../support/run-program.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

let app: string;
let installed: string;
beforeAll(() => {
  app = mkdtempSync(join(tmpdir(), 'semlock-app-'));
  installed = join(app, 'node_modules/semlock');
  mkdirSync(installed, { recursive: true });
  cpSync(`${root}dist`, join(installed, 'dist'), { recursive: true });
  cpSync(`${root}package.json`, join(installed, 'package.json'));
  // What the package depends on.
  symlinkSync(`${root}node_modules`, join(installed, 'node_modules'));
});
afterAll(() => rmSync(app, { recursive: true }));

/** Uses the package in a process of its own and gives the error. */
function errorOfUse(prepare = '', nodeOptions: string[] = []) {
  const source = `
    ${prepare}
    const use = async () => {
      const { Lock } = await import('semlock');
      new Lock('loading').tryAcquire().release();
      return { message: 'works' };
    };
    const { name, code, message, cause } = await use().catch((error) => error);
    console.log(JSON.stringify({ name, code, message, cause: cause?.message }));
  `;
  const args = [...nodeOptions, '--no-warnings', '--input-type=module', '--eval', source];
  const { stdout, stderr, status } = runProgram(process.execPath, args, { cwd: app });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return JSON.parse(stdout) as { name: string; code: string; message: string; cause?: string };
}

/** Puts this in the place of the addon while a test runs. */
function withAddon(content: string | Buffer): void {
  const release = join(installed, 'build/Release');
  mkdirSync(release, { recursive: true });
  onTestFinished(() => rmSync(join(installed, 'build'), { recursive: true }));
  writeFileSync(join(release, 'semlock.node'), content);
}

/** One sentence is one line, without a trace. */
const oneSentence = expect.stringMatching(/^semlock [^\n]+$/);
const builtAddon = () => readFileSync(`${root}build/Release/semlock.node`);

describe('without a compiled addon', () => {
  it('the error says how to compile it', () => {
    const error = errorOfUse();
    expect(error).toMatchObject({ name: 'SemlockError', code: 'ERR_SEMLOCK_ADDON', message: oneSentence });
    expect(error.message).toContain('with python3, make and g++ installed, run "npm install --no-save node-gyp');
    expect(error.message).toContain(installed);
  });

  it('a program that does not catch it ends with that sentence, and without a trace', () => {
    const { stderr, status } = runModule("new (await import('semlock')).Lock('x').tryAcquire();", [], { cwd: app });
    expect(status).toBe(1);
    expect(stderr).toContain('SemlockError: semlock has no compiled addon');
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('the same package works once the addon is there', () => {
    withAddon(builtAddon());
    expect(errorOfUse().message).toBe('works');
  });
});

describe('an addon that cannot be loaded is told with the cause', () => {
  it('no library', () => {
    withAddon('not a library');
    expect(errorOfUse()).toMatchObject({
      code: 'ERR_SEMLOCK_ADDON',
      message: expect.stringMatching(/^semlock cannot load its addon .*semlock\.node: it is damaged, or for another/),
      cause: expect.stringContaining('semlock.node'),
    });
  });

  it('one for another processor', () => {
    const other = builtAddon();
    other.writeUInt16LE(other.readUInt16LE(18) === 183 ? 62 : 183, 18); // the machine in an ELF header
    withAddon(other);
    expect(errorOfUse().message).toMatch(/it is damaged, or for another processor/);
  });

  it('one that needs a newer C library', () => {
    // A version that is asked for is found by its hash, and told by its name: both are changed.
    const newer = builtAddon();
    for (const [from, to] of [
      [Buffer.from('GLIBC_2.14\0'), Buffer.from('GLIBC_2.99\0')],
      [elfHash('GLIBC_2.14'), elfHash('GLIBC_2.99')],
    ] as const) {
      for (let at = newer.indexOf(from); at >= 0; at = newer.indexOf(from, at + 1)) to.copy(newer, at);
    }
    withAddon(newer);
    expect(errorOfUse().message).toMatch(/the system's C library is too old \(.*GLIBC_2\.99/);
  });

  it('a process that may not load addons', () => {
    withAddon(builtAddon());
    expect(errorOfUse('', ['--no-addons']).message).toMatch(/start it without --no-addons/);
  });
});

describe("under Node's permission model", () => {
  const permission = ['--permission', '--experimental-permission'].find((each) =>
    process.allowedNodeEnvironmentFlags.has(each),
  )!;
  const may = (...folders: string[]) => [permission, ...folders.map((folder) => `--allow-fs-read=${folder}`)];
  const setUp = () => {
    withAddon(builtAddon());
    writeFileSync(join(app, 'package.json'), '{ "name": "shop" }');
    onTestFinished(() => rmSync(join(app, 'package.json')));
  };

  it('a process needs --allow-addons, and to read the package and its own package.json', () => {
    setUp();
    const paths = ['package.json', 'node_modules/semlock/dist/*', 'node_modules/semlock/package.json'];
    const readable = may(...paths.map((path) => join(app, path)));
    expect(errorOfUse('', [...readable, '--allow-addons']).message).toBe('works');
    expect(errorOfUse('', readable).message).toMatch(/may not load addons; .*--allow-addons besides --permission/);
  });

  it('one that may not read whose locks it has is told so', () => {
    setUp();
    const error = errorOfUse('', [...may(`${app}/node_modules/*`), '--allow-addons']);
    expect(error.code).toBe('ERR_SEMLOCK_NAMESPACE');
    expect(error.message).toContain(`may not read ${join(app, 'package.json')}`);
  });
});

function elfHash(name: string): Buffer {
  let hash = 0;
  for (const byte of Buffer.from(name)) {
    hash = (hash << 4) + byte;
    hash = (hash ^ ((hash & 0xf0000000) >>> 24)) & 0x0fffffff;
  }
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(hash);
  return bytes;
}

describe('in one file with the app', () => {
  it('the error names the option of each bundler that leaves semlock out', () => {
    const bundle = join(app, 'bundle');
    cpSync(join(installed, 'dist'), bundle, { recursive: true });
    symlinkSync(`${root}node_modules/negotiator`, join(app, 'node_modules/negotiator')); // as if it were in the file, too
    onTestFinished(() => rmSync(bundle, { recursive: true }));
    const source = `(async () => new (require('./bundle/index.js')).Lock('x').tryAcquire())().catch((e) => console.log(e.message));`;
    const { stdout } = runProgram(process.execPath, ['--eval', source], { cwd: app });
    expect(stdout).toMatch(
      /leave semlock out of the bundle \(esbuild: --external:semlock; webpack: .*; Rollup: .*; Vite: .*; ncc: /,
    );
  });
});

it('an ES module finds the names that the package exports, and none of what is inside of it', () => {
  // For those, Node.js would look through all of the package, which takes longer than to run it.
  const source = `import * as all from 'semlock';
    import { createRequire } from 'node:module';
    const names = Object.keys(createRequire(process.cwd() + '/_')('semlock'));
    console.log(JSON.stringify([Object.keys(all).filter((name) => !/^(default|module.exports|__esModule)$/.test(name)), names.sort()]));`;
  const { stdout } = runProgram(process.execPath, ['--input-type=module', '--eval', source], { cwd: app });
  const [imported, exported] = JSON.parse(stdout) as [string[], string[]];
  expect(imported).toContain('fileLock');
  expect(imported).toEqual(exported);
});
