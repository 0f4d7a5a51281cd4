// The rules that neither a formatter nor a compiler holds: promises that nobody awaits, which in lock code means a lock
// that nobody releases, and the one direction in which the parts of the source import each other.

import { fileURLToPath } from 'node:url';

import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';

import { layerRules } from './import-layers.js';

const root = fileURLToPath(new URL('..', import.meta.url));

export default defineConfig(
  {
    basePath: root,
    ignores: [
      '**/dist/',
      'build/',
      'prebuilds/',
      'docs/public/',
      'docs/.vitepress/{cache,dist}/',
      'coverage/',
      'test/package/*/**',
      'test/docs/placeholders.d.ts',
      // Wrong on purpose: the compiler checks that it says so.
      '**/*.test-d.ts',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { project: '.config/tsconfig.json', tsconfigRootDir: root } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      // A promise returned out of `try` without `await` settles after `finally` has released the lock.
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      // A type parameter that is used once still decides what TypeScript infers.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // With `noUncheckedIndexedAccess`, `!` is how to say that an index is known to be there.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreUsingDeclarations: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
    },
  },
  { files: ['**/*.{js,mjs}'], ignores: ['**/public/**'], languageOptions: { globals: globals.node } },
  { files: ['**/public/**'], languageOptions: { globals: globals.browser } },
  layerRules,
  {
    // Both stand where a user stands.
    files: ['example-app/**', 'test/package/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: String.raw`^(\.\./)+(src|dist|native|build)(/|$)`,
              message: 'Import the package by its name, as its users do.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['test/**'],
    ignores: ['test/package/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            { regex: String.raw`src/index\.js$`, message: 'Import the module itself, or the package by its name.' },
          ],
        },
      ],
    },
  },
  {
    // A test gives wrong types and throws what is no error on purpose, and makes classes only to look at them.
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-unnecessary-type-assertion': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
