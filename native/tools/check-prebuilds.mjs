// Stops a publish that would leave somebody without a binary: npm runs no install script that could build one.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const binaries = ['x64', 'arm64'].flatMap((arch) =>
  ['glibc', 'musl'].map((libc) => `prebuilds/linux-${arch}/semlock.${libc}.node`),
);
const missing = binaries.filter((file) => !existsSync(fileURLToPath(new URL(`../../${file}`, import.meta.url))));
if (missing.length > 0) {
  console.error(`semlock: not to be published without ${missing.join(', ')}; native/README.md says how to build them`);
  process.exit(1);
}
