// Stops a publish that would leave somebody without a binary: npm runs no install script that could build one. A binary
// that needs a newer glibc than it should, or a C++ library, is as good as none.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { BINARIES, MAX_GLIBC } from './binaries.mjs';

const problems = BINARIES.map(({ file }) => problemOf(file)).filter((problem) => problem !== undefined);
if (problems.length > 0) {
  console.error(
    `semlock: not to be published: ${problems.join(', ')}; "npm run build:prebuilds" makes the binaries of all platforms`,
  );
  process.exit(1);
}

function problemOf(file) {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  if (!existsSync(path)) return `${file} is missing`;
  // The names of libraries and of versions of symbols stand in a binary as they are.
  const binary = readFileSync(path, 'latin1');
  const newer = [...binary.matchAll(/GLIBC_2\.(\d+)/g)].filter(([, minor]) => Number(minor) > MAX_GLIBC);
  if (newer.length > 0) return `${file} needs ${newer[0][0]}`;
  if (/libstdc\+\+\.so|GLIBCXX_/.test(binary)) return `${file} needs libstdc++`;
  return undefined;
}
