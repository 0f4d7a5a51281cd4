// The runtimes of the matrix, and how each is started. Their packages carry a binary each; what emulates an arm64
// processor and what musl needs come from Debian.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MUSL_LOADER = '/lib/ld-musl-x86_64.so.1';
const ARM64_LIBRARIES = '/usr/aarch64-linux-gnu';

/** The binary of a package in `modules`, which may have been installed without its mode. */
function binary(modules, file) {
  const path = join(modules, file);
  chmodSync(path, 0o755);
  return path;
}

/**
 * Bun for musl wants the C++ library of Alpine. This makes one of the functions that it asks for, from that of the compiler,
 * whose code is the same.
 */
function muslCxxLibrary(bun, folder) {
  const asked = execFileSync('nm', ['-D', bun], { encoding: 'utf8' }).matchAll(
    / [UwVvB] (_Z\w+|__(?:cxa|once|dynamic)\w+)/g,
  );
  const source = join(folder, 'glibc.cc');
  writeFileSync(
    source,
    `// What the compiler's library takes from glibc and musl does not have.
#include <cstdlib>
namespace std {
void __glibcxx_assert_fail(const char*, int, const char*, const char*) noexcept { abort(); }
}
extern "C" {
int __cxa_thread_atexit_impl(void (*)(void*), void*, void*) { return 0; }
char __libc_single_threaded = 0;
unsigned arc4random() { abort(); }
int _dl_find_object(void*, void*) { return -1; }
}
`,
  );
  const wanted = [...asked].map(([, name]) => `-Wl,-u,${name}`);
  const library = ['-shared', '-fPIC', '-nodefaultlibs', '-o', join(folder, 'libstdc++.so.6')];
  execFileSync('g++', [...library, source, ...wanted, '-Wl,-Bstatic', '-lstdc++', '-lgcc_eh', '-lgcc'], {
    stdio: 'pipe',
  });
  return folder;
}

function needs(path, debianPackages) {
  if (!existsSync(path)) throw new Error(`${path} is missing; on Debian: apt-get install ${debianPackages}`);
}

/** For each runtime its name in the table, and a function that gives the command, in a folder that it may fill. */
export function runtimesIn(modules) {
  const node = (major) => ({
    name: `Node.js ${major}`,
    system: 'x64, glibc',
    command: () => [binary(modules, `node-${major}/bin/node`)],
  });
  return [
    ...[20, 22, 24, 26].map(node),
    { name: 'Bun 1', system: 'x64, glibc', command: () => [binary(modules, 'bun/bin/bun')] },
    { name: 'Deno 2', system: 'x64, glibc', command: () => [binary(modules, 'deno/deno'), 'run', '--allow-all'] },
    {
      name: 'Bun 1',
      system: 'x64, musl',
      command: (folder) => {
        needs(MUSL_LOADER, 'musl');
        const bun = binary(modules, 'bun-musl/bin/bun');
        return [MUSL_LOADER, '--library-path', muslCxxLibrary(bun, folder), bun];
      },
    },
    {
      name: 'Node.js 20',
      system: 'arm64, glibc (emulated)',
      command: () => {
        needs('/usr/bin/qemu-aarch64-static', 'qemu-user-static');
        needs(`${ARM64_LIBRARIES}/lib/libstdc++.so.6`, 'libstdc++6-arm64-cross');
        return ['/usr/bin/qemu-aarch64-static', '-L', ARM64_LIBRARIES, binary(modules, 'node-20-arm64/bin/node')];
      },
    },
  ];
}

export const MATRIX = fileURLToPath(new URL('.', import.meta.url));
