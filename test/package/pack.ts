// Packs the package once for all package tests, as a release does: from a copy of the sources, so that a run leaves the
// working tree as it is.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of the packed package. */
    tarball: string;
    /** A folder outside of the repository, removed with all that is in it when the run is over. */
    workshop: string;
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const sources = [
  'package.json',
  'tsconfig.json',
  'binding.gyp',
  'native',
  'src',
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
];

export function setup(project: TestProject): () => void {
  const workshop = mkdtempSync(join(tmpdir(), 'semlock-package-test-'));
  const copy = join(workshop, 'semlock');
  for (const source of sources) {
    if (existsSync(join(root, source))) cpSync(join(root, source), join(copy, source), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

  const run = (...args: string[]): string => execFileSync('npm', args, { cwd: copy, encoding: 'utf8' });
  run('run', 'prepack');
  const [packed] = JSON.parse(run('pack', '--json', '--ignore-scripts')) as [{ filename: string }];
  project.provide('workshop', workshop);
  project.provide('tarball', join(copy, packed.filename));

  return () => {
    rmSync(workshop, { recursive: true });
  };
}
