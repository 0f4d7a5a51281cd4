// Runs suite.mjs from the packed package, with the binaries of all platforms, on each runtime, and writes what passes
// where into docs/platforms.md. With --check it leaves that as it is, and fails when it is not what the run has shown.
// Usage: node test/matrix/main.mjs [--check] [words of the runtimes to run; the document is left alone then, too]

import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { MATRIX, runtimesIn } from './runtimes.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const document = join(root, 'docs/platforms.md');
const checkOnly = process.argv.includes('--check');
const only = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));

const modules = installRuntimes();
const runtimes = runtimesIn(modules).filter(({ name, system }) =>
  only.every((word) => `${name} ${system}`.includes(word)),
);
const workshop = mkdtempSync(join(tmpdir(), 'semlock-matrix-'));
try {
  const app = installPackage(workshop);
  // Two at a time, the emulated one first: it takes as long as all the others.
  const waiting = [...runtimes.entries()].reverse().values();
  const lane = async () => {
    for (const [at, runtime] of waiting) runtime.results = await run(runtime, app, join(workshop, `${at}`));
  };
  await Promise.all([lane(), lane()]);
} finally {
  rmSync(workshop, { recursive: true });
}

const failures = runtimes.flatMap(({ name, system, results }) =>
  [...results].filter(([, error]) => error !== undefined).map((failure) => [`${name}, ${system}`, ...failure]),
);
for (const [where, check, error] of failures) console.error(`${where}: ${check}: ${error}`);
if (only.length === 0) settle(documentWith(table()));
if (failures.length > 0) process.exitCode = 1;

function npm(folder, ...args) {
  return execFileSync('npm', [...args, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    encoding: 'utf8',
  });
}

function installRuntimes() {
  const installed = join(MATRIX, 'node_modules/.package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(join(MATRIX, 'package-lock.json')).mtimeMs) {
    npm(MATRIX, 'ci', '--ignore-scripts', '--prefer-offline', '--force'); // one is for another processor
  }
  return join(MATRIX, 'node_modules');
}

/** The folder of an app that has the package installed. */
function installPackage(folder) {
  const app = join(folder, 'app');
  mkdirSync(app);
  const [{ filename }] = JSON.parse(npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder));
  writeFileSync(join(app, 'package.json'), '{ "private": true }\n');
  npm(app, 'install', '--prefer-offline', join(folder, basename(filename)));
  cpSync(join(MATRIX, 'suite.mjs'), join(app, 'suite.mjs'));
  return app;
}

/** What each check came to: an error, or undefined. */
async function run({ name, system, command }, app, folder) {
  mkdirSync(folder);
  const [program, ...args] = command(folder);
  // The package's command finds the runtime as `node`, in a PATH that has it first.
  writeFileSync(join(folder, 'node'), `#!/bin/sh\nexec ${[program, ...args].join(' ')} "$@"\n`, { mode: 0o755 });
  const env = {
    ...process.env,
    NODE_EXTRA_CA_CERTS: '', // which Node.js would read at each start
    PATH: [folder, process.env.PATH].join(delimiter),
    SEMLOCK_NAMESPACE: `matrix ${folder}`,
    SEMLOCK_MATRIX_COMMAND: JSON.stringify([program, ...args]),
    SEMLOCK_MATRIX_SEMLOCK: join(app, 'node_modules/.bin/semlock'),
  };
  const started = performance.now();
  const results = await new Promise((resolve) => {
    const options = { cwd: app, env, timeout: 10 * 60_000 };
    execFile(program, [...args, 'suite.mjs', 'main'], options, (failure, stdout, stderr) => {
      const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
      const found = new Map(lines.map((line) => JSON.parse(line)).map(({ check, error }) => [check, error]));
      if (failure !== null) found.set('ends by itself', `${failure.signal ?? `code ${failure.code}`} ${stderr}`);
      resolve(found);
    });
  });
  // Bun does not tell the addon that a process ends, so its last process leaves the table of its namespace.
  execFileSync(program, [...args, join(app, 'node_modules/semlock/dist/command.js'), 'prune'], { cwd: app, env });
  const passed = [...results.values()].filter((error) => error === undefined).length;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${name}, ${system}: ${passed} of ${results.size} passed, ${seconds} s`);
  return results;
}

function table() {
  const checks = [...new Set(runtimes.flatMap(({ results }) => [...results.keys()]))];
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const mark = (results, check) => (results.has(check) && results.get(check) === undefined ? '✓' : '✗');
  return [
    row(['', ...runtimes.map(({ name, system }) => `${name}<br>${system}`)]),
    row(['---', ...runtimes.map(() => ':-:')]),
    ...checks.map((check) => row([check, ...runtimes.map(({ results }) => mark(results, check))])),
  ].join('\n');
}

function documentWith(text) {
  const [before] = readFileSync(document, 'utf8').split('<!-- made by npm run test:matrix -->');
  const [, after] = readFileSync(document, 'utf8').split('<!-- end -->');
  return `${before}<!-- made by npm run test:matrix -->\n\n${text}\n\n<!-- end -->${after}`;
}

function settle(text) {
  if (!checkOnly) {
    writeFileSync(document, text);
  } else if (readFileSync(document, 'utf8') !== text) {
    console.error('docs/platforms.md does not say what this run has shown; "npm run test:matrix" writes it anew');
    process.exitCode = 1;
  }
}
