// The declarations under the compilers and the ways of finding modules that people have: strict, as CommonJS and as an ES
// module, and checked themselves (without `skipLibCheck`).

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, inject, it } from 'vitest';

import { Consumer } from './consumer.js';

let app: Consumer;
beforeAll(() => {
  app = new Consumer('tools/app');
  for (const extension of ['cts', 'mts']) {
    copyFileSync(join(app.folder, 'ts/types.ts'), join(app.folder, `ts/types.${extension}`));
  }
});

// By the package that has the compiler in test/package/tools. TypeScript 6 wants node10 to be silenced, 7 has no such thing.
const cases = {
  'typescript-5.2': ['node10', 'node16', 'bundler'],
  'typescript-5.4': ['nodenext'],
  'typescript-5.6': ['node10', 'nodenext'],
  typescript: ['nodenext', 'bundler'],
  'typescript-6': ['nodenext', 'bundler'],
  'typescript-7': ['node16', 'nodenext', 'bundler'],
};
/** Those before cannot read the declarations of Fastify, nor those of NestJS, an ES module, from CommonJS. */
const WITH_FRAMEWORKS = ['typescript', 'typescript-6', 'typescript-7'];

describe.concurrent.each(Object.entries(cases))('the compiler %s', (compiler, resolutions) => {
  it.each(resolutions)('finds nothing wrong with moduleResolution %s', async (resolution) => {
    const both = resolution.startsWith('node') && resolution !== 'node10';
    const module = { node10: 'commonjs', bundler: 'esnext' }[resolution] ?? resolution;
    const files = both ? ['ts/types.cts', 'ts/types.mts'] : ['ts/types.ts'];
    if (WITH_FRAMEWORKS.includes(compiler) && resolution === 'nodenext') files.push('ts/fastify.ts', 'ts/nest.ts');
    const options = { target: 'es2022', lib: 'es2022', types: 'node', module, moduleResolution: resolution };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const tsc = join(inject('workshop'), 'node_modules', compiler, 'bin/tsc');
    const output = await app.output(
      process.execPath,
      tsc,
      '--noEmit',
      '--strict',
      '--esModuleInterop',
      ...args,
      ...files,
    );
    expect(output).toBe('');
  });
});
