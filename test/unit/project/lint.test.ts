// A lint rule that is misconfigured reports nothing, which looks like clean code. So each rule that this project leans
// on is shown a piece of code that breaks it.

import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';

import { parts } from '../../../.config/import-layers.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const overrideConfigFile = `${root}.config/eslint.config.js`;

/** Import rules need no types, so that code can be given for files which do not exist. */
const untyped = new ESLint({ cwd: root, overrideConfigFile, overrideConfig: [tseslint.configs.disableTypeChecked] });
/** Where `CI` is set, typescript-eslint would take the types from the file on disk instead of the code given here. */
const typed = new ESLint({
  cwd: root,
  overrideConfigFile,
  overrideConfig: { languageOptions: { parserOptions: { disallowAutomaticSingleRunInference: true } } },
});

async function rulesBroken(eslint: ESLint, file: string, code: string) {
  const [result] = await eslint.lintText(code, { filePath: `${root}${file}` });
  return result!.messages.map(({ ruleId, message }) => ruleId ?? message);
}

describe('the direction of imports', () => {
  it.each([
    ['src/errors.ts', './options.js'],
    ['src/options.ts', './native.js'],
    ['src/names.ts', './hold.js'],
    ['src/native.ts', './lock.js'],
    ['src/observe/x.ts', '../hold.js'],
    ['src/store.ts', './hold.js'],
    ['src/store.ts', './stores/memory/memory-store.js'],
    ['src/stores/process/x.ts', '../../hold.js'],
    ['src/stores/process/x.ts', '../../stored-lock.js'],
    ['src/stores/process/x.ts', '../memory/memory-store.js'],
    ['src/stores/memory/x.ts', '../process/process-store.js'],
    ['src/stores/memory/x.ts', '../../native.js'],
    ['src/hold.ts', './native.js'],
    ['src/stored-lock.ts', './native.js'],
    ['src/stored-lock.ts', './stores/process/process-store.js'],
    ['src/lock.ts', './web-locks/lock-manager.js'],
    ['src/web-locks/x.ts', '../http/file-lock.js'],
    ['src/web-locks/x.ts', '../native.js'],
    ['src/http/x.ts', '../decorators/locked.js'],
    ['src/http/x.ts', '../native.js'],
    ['src/tus/x.ts', '../http/file-lock.js'],
    ['src/decorators/x.ts', '../web-locks/lock-manager.js'],
    ['src/cli/x.ts', '../http/file-lock.js'],
    ['src/web-locks/x.ts', '../index.js'],
    ['test/unit/x.ts', '../../src/index.js'],
  ])('%s may not import %s', async (file, imported) => {
    const code = `export * from '${imported}';\n`;
    expect(await rulesBroken(untyped, file, code)).toEqual(['no-restricted-imports']);
  });

  it.each([
    ['src/options.ts', './errors.js'],
    ['src/options.ts', './names.js'],
    ['src/native.ts', './errors.js'],
    ['src/stores/process/x.ts', '../../native.js'],
    ['src/stores/process/x.ts', './waits.js'],
    ['src/stores/memory/x.ts', '../../store.js'],
    ['src/lock.ts', './stored-lock.js'],
    ['src/primitives/x.ts', '../native.js'],
    ['src/http/x.ts', '../stored-lock.js'],
    ['src/decorators/x.ts', '../http/file-lock.js'],
    ['src/cli/x.ts', '../web-locks/lock-manager.js'],
    ['src/index.ts', './lock.js'],
    ['test/unit/x.ts', '../../src/lock.js'],
    ['example-app/x.js', 'semlock'],
  ])('%s may import %s', async (file, imported) => {
    expect(await rulesBroken(untyped, file, `export * from '${imported}';\n`)).toEqual([]);
  });

  it.each([
    ['example-app/x.js', '../src/lock.js'],
    ['example-app/x.js', '../dist/index.js'],
    ['example-app/routes/x.ts', '../../src/http/node/file-lock.js'],
    ['test/package/x.ts', '../../dist/index.js'],
  ])('%s may not import %s: it uses the package by its name', async (file, imported) => {
    const code = `export * from '${imported}';\n`;
    expect(await rulesBroken(untyped, file, code)).toEqual(['no-restricted-imports']);
  });

  it('only src/addon.ts loads the addon', async () => {
    const code = `import { createRequire } from 'node:module';\ncreateRequire('/')('../../build/Release/semlock.node');\n`;
    expect(await rulesBroken(untyped, 'src/http/x.ts', code)).toHaveLength(1);
    expect(await rulesBroken(untyped, 'src/addon.ts', code)).toEqual([]);
  });

  it('has a place for every part of src', () => {
    const present = readdirSync(`${root}src`, { withFileTypes: true });
    const code = present.filter(({ name }) => name !== 'package.json');
    const names = code.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    names.splice(names.indexOf('stores/'), 1); // each folder in it is a part
    expect(names.filter((name) => !parts.includes(name))).toEqual([]);
  });
});

// The first of them reads the types of the whole project.
describe('promises', { timeout: 120_000 }, () => {
  it.each([
    ['no-floating-promises', `export function f(p: Promise<void>): void {\n  p;\n}\n`],
    ['no-misused-promises', `export const f = (p: Promise<boolean>): number => (p ? 1 : 2);\n`],
    [
      'return-await',
      `export async function f(p: Promise<number>, done: () => void): Promise<number> {
  try {
    return p;
  } finally {
    done();
  }
}\n`,
    ],
  ])('%s is reported', async (rule, code) => {
    expect(await rulesBroken(typed, 'src/errors.ts', code)).toContain(`@typescript-eslint/${rule}`);
  });
});
