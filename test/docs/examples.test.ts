// Code that readers copy works. What the documents and the documentation comments show is compiled against the package, and
// the commands that they give exist.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { HELP } from '../../src/cli/usage.js';
import { NamedSemaphore } from '../../src/primitives/named-semaphore.js';
import { migration } from '../../src/stores/postgres/schema.js';
import { runProgram } from '../support/run-program.js';
import { scratchSemaphore } from '../support/semaphore-name.js';
import { codeBlocks, type CodeBlock } from './code-blocks.js';
import { documents, root } from './documents.js';
import { typeErrors } from './type-check.js';

const read = (file: string): string => readFileSync(root + file, 'utf8');
const { scripts, bin = {} } = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>;
  bin?: Record<string, string>;
};

interface Pod {
  spec: { volumes: { name: string }[]; containers: { volumeMounts: { name: string; mountPath: string }[] }[] };
}

const compiled = ['ts', 'js', 'cjs'];
const blocks = documents().flatMap(({ path, text }) => codeBlocks(path, text));
const inLanguage = (...languages: string[]) => blocks.filter(({ language }) => languages.includes(language));
const sources = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const comments = sources.map((file) => `src/${file}`).flatMap((file) => codeBlocks(file, read(file)));

/** What follows `semlock` in a text that its help does not have: commands and options. */
function unknownToSemlock(text: string): string[] {
  return [...text.matchAll(/(?<!install )\bsemlock ([a-z]+)((?: --?[\w-]+(?:[ =](?![-.])\S+)?)*)/g)].flatMap(
    ([, name, options]) => {
      const unknown = [...options!.matchAll(/ (--?[\w-]+)/g)].filter(
        ([, option]) => !new RegExp(String.raw`(?<![\w-])${option}(?![\w-])`).test(HELP),
      );
      return [...(HELP.includes(`semlock ${name} `) ? [] : [name!]), ...unknown.map(([, option]) => option!)];
    },
  );
}

/** Commands of a shell block that do not exist here: `npm run` scripts and the package's own command. */
function commandErrors({ code, place }: CodeBlock): string[] {
  const { stderr } = spawnSync('bash', ['-n'], { input: code, encoding: 'utf8' });
  const missing = [...code.matchAll(/\bnpm (?:run )?(?:-\S+ )*([\w:-]+)|\bnpx (\w+)/g)].flatMap(
    ([command, script, tool]) => {
      if (tool !== undefined) return tool === 'semlock' && !(tool in bin) ? [command] : [];
      return ['ci', 'install', 'i'].includes(script!) || script! in scripts ? [] : [command];
    },
  );
  return [...(stderr === '' ? [] : [stderr]), ...missing, ...unknownToSemlock(code)].map(
    (error) => `${place}: ${error}`,
  );
}

describe('the documents', () => {
  it('show the two commands that a newcomer needs', () => {
    const commands = inLanguage('sh').filter(({ place }) => place.startsWith('README.md'));
    expect(commands.map(({ code }) => code).join('')).toContain('npm ci && npm start\nnpm ci && npm test\n');
  });

  it('have only code that is checked here, or says that it is text', () => {
    const checked = [...compiled, 'sh', 'py', 'c', 'yaml', 'text'];
    expect(blocks.filter(({ language }) => !checked.includes(language)).map(({ place }) => place)).toEqual([]);
  });

  it('have TypeScript and JavaScript that compile', { timeout: 300_000 }, () => {
    expect(inLanguage(...compiled).length).toBeGreaterThan(20);
    expect(typeErrors(inLanguage(...compiled))).toEqual([]);
  });

  it('have shell commands that exist', () => {
    expect(inLanguage('sh').flatMap(commandErrors)).toEqual([]);
  });

  it('name commands of semlock that exist, with options that they have', () => {
    const named = documents().flatMap(({ text }) => text.match(/(?<=`)(?:npx )?semlock [a-z]+ [^`\n]*(?=`)/g) ?? []);
    expect(named.length).toBeGreaterThan(15);
    expect(named.flatMap(unknownToSemlock)).toEqual([]);
  });

  it('have Python that runs, on a semaphore that exists', () => {
    for (const { code, place } of inLanguage('py')) {
      const name = scratchSemaphore();
      NamedSemaphore.create(name).close();
      const { stderr } = runProgram('python3', ['-c', code.replaceAll('/ledger', name)]);
      expect(stderr, place).toBe('');
    }
  });

  it('have YAML that is a pod whose containers see one volume at /dev/shm', () => {
    const [pod, ...others] = inLanguage('yaml').map(({ code }) => parse(code) as Pod);
    expect(others).toEqual([]);
    const { volumes, containers } = pod!.spec;
    for (const { volumeMounts } of containers) {
      expect(volumeMounts).toEqual([{ name: volumes[0]!.name, mountPath: '/dev/shm' }]);
    }
  });

  it('have the rights that the schema in PostgreSQL gives a role', () => {
    const [rights] = inLanguage('text').filter(({ place }) => place.startsWith('docs/stores/postgres.md'));
    expect(migration('semlock', undefined, 'app').replaceAll('"', '')).toContain(rights!.code);
  });

  it('have C that compiles without a warning', () => {
    for (const { code, place } of inLanguage('c')) {
      const { stderr } = spawnSync('g++', ['-x', 'c', '-std=c11', '-Wall', '-fsyntax-only', '-'], {
        input: code,
        encoding: 'utf8',
      });
      expect(stderr, place).toBe('');
    }
  });
});

describe('documentation comments', () => {
  it('have examples', () => {
    expect(comments.length).toBeGreaterThan(2);
  });

  it('have examples that compile', { timeout: 300_000 }, () => {
    expect(typeErrors(comments)).toEqual([]);
  });
});

describe('the checks themselves', () => {
  const block = (language: string, code: string): CodeBlock => ({ language, code, line: 10, place: 'page.md:10' });

  it('find a wrong option, and the line it is on', { timeout: 300_000 }, () => {
    const errors = typeErrors([
      block('ts', `const lock = new Lock('x');\nnew Lock('y', { permits: 2 });\nlock.take();\n`),
    ]);
    expect(errors).toEqual([
      expect.stringMatching(/^page\.md:11: .*'permits' does not exist in type 'LockOptions'/),
      expect.stringMatching(/^page\.md:12: Property 'take' does not exist on type 'Lock'/),
    ]);
  });

  it('find a command that does not exist, and wrong syntax', () => {
    expect(commandErrors(block('sh', 'npm ci && npm run nothing\n'))).toEqual(['page.md:10: npm run nothing']);
    expect(commandErrors(block('sh', 'npm test && (\n'))).toEqual([expect.stringContaining('syntax error')]);
    expect(commandErrors(block('sh', 'npx semlock rum x\nnpx semlock run --wait 5 --wiat 5 x --more\n'))).toEqual([
      'page.md:10: rum',
      'page.md:10: --wiat',
    ]);
  });

  it('read blocks from Markdown and from comments', () => {
    expect(codeBlocks('a.md', 'text\n```ts\nlet a;\n\n```\n```sh\nls\n```\n')).toEqual([
      { place: 'a.md:3', line: 3, language: 'ts', code: 'let a;\n\n' },
      { place: 'a.md:7', line: 7, language: 'sh', code: 'ls\n' },
    ]);
    expect(codeBlocks('a.ts', '/**\n * ```ts\n * let a;\n *   b();\n * ```\n */\n')).toEqual([
      { place: 'a.ts:3', line: 3, language: 'ts', code: 'let a;\n  b();\n' },
    ]);
  });
});
