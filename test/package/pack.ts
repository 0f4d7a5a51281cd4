// Packs the package, which was built as for a release, once for all package tests. Installs what people build and start their
// apps with once for all, too.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
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
const tools = fileURLToPath(new URL('tools', import.meta.url));
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
  const args = ['pack', '--json', '--ignore-scripts', `--pack-destination=${workshop}`];
  const [packed] = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' })) as [{ filename: string }];
  installTools();
  // Above the consumers' own node_modules.
  symlinkSync(join(tools, 'node_modules'), join(workshop, 'node_modules'));
  project.provide('workshop', workshop);
  project.provide('tarball', join(workshop, packed.filename));

  return () => {
    rmSync(workshop, { recursive: true });
  };
}

function installTools(): void {
  const installed = join(tools, 'node_modules/.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(tools, 'package-lock.json')).mtimeMs)
    return;
  const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  execFileSync('npm', args, { cwd: tools, stdio: 'pipe' });
}

/** Copies all that the package is made of. */
export function copySources(folder: string): void {
  for (const source of sources) {
    if (existsSync(join(root, source))) cpSync(join(root, source), join(folder, source), { recursive: true });
  }
}
