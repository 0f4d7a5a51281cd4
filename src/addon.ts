// Finds the compiled addon and loads it, or says why that is impossible. In the package the addon lies beside this folder. An
// app that was bundled into one file has no package around this code: then the addon may lie beside the bundle, or in the
// package that is still installed.

import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs';
import Module from 'node:module';
import { dirname, join, resolve } from 'node:path';

import { SemlockError } from './errors.js';
import { VERSION } from './version.js';

/** Where ES modules are made of this code, as bundlers do, there is no __dirname. */
const here: string = typeof __dirname === 'string' ? __dirname : dirname(process.argv[1] ?? join(process.cwd(), '_'));

/** The addon's exports; throws `ERR_SEMLOCK_ADDON` in one sentence. */
export function loadAddon(): unknown {
  const file = findAddon();
  try {
    // Not by process.dlopen, which would load it twice; and not by `require` or an imported `createRequire`, which
    // bundlers take for their own.
    return Module.createRequire(file)(file);
  } catch (cause) {
    throw failure(`cannot load its addon ${file}: ${reasonOf(cause)}`, cause);
  }
}

function findAddon(): string {
  const libc = libcOfThisProcess();
  const binary = `${process.platform}-${process.arch}/semlock.${libc}.node`;
  const found = besideThisFolder(`${process.arch} ${libc}`).find(mayExist) ?? besideBundle(binary).find(mayExist);
  if (found !== undefined) return resolve(found);

  if (!isPackage(join(here, '..'))) {
    throw failure(
      `was bundled into ${here}, and its compiled addon was not: leave semlock out of the bundle (esbuild: ` +
        "--external:semlock; webpack: externalsType: 'commonjs', externals: [/^semlock/]; Rollup: external: [/^semlock/]; " +
        "Vite: ssr: { external: ['semlock'] }; ncc: --external semlock) and install it there, or copy the folder " +
        'node_modules/semlock/prebuilds beside the bundle',
    );
  }
  throw failure(
    `has no compiled addon for ${process.platform} ${process.arch} (${libc}): with python3, make and g++ installed, run ` +
      `"npm install --no-save node-gyp node-addon-api && npx node-gyp rebuild -C ${join(here, '..')}"`,
  );
}

/** Node's permission model may hide a file. The attempt to load it then says so. */
function mayExist(file: string): boolean {
  try {
    return existsSync(file);
  } catch {
    return true;
  }
}

/** Written out, so that tools which trace the files of an app find them all. The first one is of a local build. */
function besideThisFolder(machine: string): string[] {
  if (typeof __dirname !== 'string') return [];
  const packed: Record<string, string> = {
    'x64 glibc': `${__dirname}/../prebuilds/linux-x64/semlock.glibc.node`,
    'x64 musl': `${__dirname}/../prebuilds/linux-x64/semlock.musl.node`,
    'arm64 glibc': `${__dirname}/../prebuilds/linux-arm64/semlock.glibc.node`,
    'arm64 musl': `${__dirname}/../prebuilds/linux-arm64/semlock.musl.node`,
  };
  const built = isPackage(join(__dirname, '..')) ? [join(__dirname, '..', 'build', 'Release', 'semlock.node')] : [];
  return packed[machine] === undefined ? built : [...built, packed[machine]];
}

/** Where __dirname is not known, those of the package are not found by that: a bundle lies in `dist` as this file does. */
function besideBundle(binary: string): string[] {
  const folders = [here, join(here, '..'), installedPackage()].filter((folder) => folder !== undefined);
  return folders.map((folder) => join(folder, 'prebuilds', binary));
}

/** The folder of this very version of the package, if it is installed where this code runs. */
function installedPackage(): string | undefined {
  try {
    const folder = dirname(Module.createRequire(join(here, '_')).resolve('semlock/package.json'));
    return isPackage(folder) ? folder : undefined;
  } catch {
    return undefined; // it is not
  }
}

function isPackage(folder: string): boolean {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
    return name === 'semlock' && version === VERSION;
  } catch {
    return false; // no such folder, or it cannot be read
  }
}

function libcOfThisProcess(): 'glibc' | 'musl' {
  try {
    // The program itself names its loader, as a rule near its beginning, where it is found sooner than in the list below.
    if (beginningOf('/proc/self/exe').includes('/ld-linux-')) return 'glibc';
    // musl is one file, its loader too. Some distributions call it libc.so and make the loader's name a link.
    return /\/(ld-musl-.*|libc\.musl-.*|libc\.so)$/m.test(readFileSync('/proc/self/maps', 'latin1')) ? 'musl' : 'glibc';
  } catch {
    return 'glibc';
  }
}

function beginningOf(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(4096);
    return bytes.toString('latin1', 0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_DLOPEN_DISABLED') {
    return 'this process may not load addons; start it without --no-addons, or with --allow-addons besides --permission';
  }
  if (code === 'ERR_ACCESS_DENIED') return 'this process may not read it; allow that with --allow-fs-read';
  // What the system's loader says in the first line: a symbol or a library that is missing, or another architecture.
  const [said = ''] = message.split('\n');
  if (/GLIBC/.test(said)) return `the system's C library is too old (${said})`;
  // glibc passes over a file for another processor, and then says that there is none.
  if (/ELF|file too short|Exec format|semlock[.\w]*\.node: cannot open shared object/.test(said))
    return `it is damaged, or for another processor (${said})`;
  if (/Operation not permitted|failed to map segment/.test(said)) return `the system does not let it run (${said})`;
  return said;
}

/** Without a stack: where in this file it was thrown helps no reader, and an import that is not caught prints it. */
function failure(what: string, cause?: unknown): SemlockError {
  const error = new SemlockError('ERR_SEMLOCK_ADDON', `semlock ${what}`, { cause });
  for (const each of [error, cause]) {
    if (each instanceof Error) each.stack = `${each.name}: ${each.message}`;
  }
  return error;
}
