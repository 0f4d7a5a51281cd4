import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { VERSION } from '../../../src/version.js';

it('the version that the code knows is that of package.json', () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  expect(VERSION).toBe((JSON.parse(text) as { version: string }).version);
});
