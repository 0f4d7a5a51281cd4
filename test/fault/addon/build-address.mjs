// Builds the production addon for AddressSanitizer beside those of the fault tests, and tells where it is and which
// runtime has to be loaded before it.

import { execSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { nodeDir } from '../../../native/tools/local-headers.mjs';

const root = join(import.meta.dirname, '../../..');
const compiler = process.env.CXX ?? 'g++';
const { include_dir: wrapper } = createRequire(import.meta.url)('node-addon-api');
const headers = nodeDir ?? dirname(dirname(process.execPath));

/** Builds it: the addon and the runtime. */
export function buildAddressAddon() {
  const folder = join(import.meta.dirname, 'build/address');
  const addon = join(folder, 'semlock.node');
  mkdirSync(folder, { recursive: true });
  const flags = [
    '-std=c++17 -O1 -g -fno-omit-frame-pointer -fsanitize=address -fPIC -shared -fno-exceptions',
    '-fvisibility=hidden -Wl,-z,nodelete -DNAPI_VERSION=8 -DNAPI_DISABLE_CPP_EXCEPTIONS -D_GNU_SOURCE -DBUILDING_NODE_EXTENSION',
    `-I'${join(headers, 'include/node')}' -I${wrapper}`,
  ].join(' ');
  execSync(`${compiler} ${flags} native/core/*.cc native/binding/*.cc -o '${addon}' -pthread`, {
    cwd: root,
    stdio: 'inherit',
  });
  const runtime = execSync(`${compiler} -print-file-name=libasan.so`, { encoding: 'utf8' }).trim();
  return { addon, runtime };
}
