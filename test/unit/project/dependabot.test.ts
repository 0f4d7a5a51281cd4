// Each folder that names packages of its own is one that Dependabot looks at.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The folders of the repository below this one, itself included, that name packages. */
function foldersWithPackages(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) {
      return /^(node_modules|dist|build|\..*)$/.test(entry.name) ? [] : foldersWithPackages(join(folder, entry.name));
    }
    if (entry.name !== 'package.json') return [];
    const manifest = JSON.parse(readFileSync(join(root, folder, entry.name), 'utf8')) as Record<string, unknown>;
    return 'dependencies' in manifest || 'devDependencies' in manifest ? [folder] : [];
  });
}

it('Dependabot looks at each folder that names packages', () => {
  const text = readFileSync(join(root, '.github/dependabot.yml'), 'utf8');
  const watched = [
    ...[...text.matchAll(/directories: \[(.*)\]/g)].flatMap(([, list]) => list!.split(', ')),
    ...Array.from(text.matchAll(/^ +- (\/.*)$/gm), ([, folder]) => folder),
  ];
  const folders = foldersWithPackages('/');
  expect(folders).toContain('/');
  expect(folders.sort()).toEqual(watched.sort());
});
