// Options stand twice, in the documents and in the comments of their types. Both name all of them, with the same defaults.
// The page of the command has only what its help has.

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { HELP } from '../../src/cli/usage.js';
import { readPage, root } from './documents.js';

type Defaults = Map<string, string | undefined>;

/** The default that the comment of each option of a type gives; `undefined` where it gives none. */
function commented([file, type]: readonly [string, string]): [string, string | undefined][] {
  const [, body = ''] = readFileSync(root + file, 'utf8').split(`\nexport interface ${type}`);
  const [own = ''] = body.split('\n}\n');
  const options = [...own.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s+(\w+)\??:/gs)];
  return options.map(([, comment, option]) => [
    option!,
    /Default `?([^`;:.\n]+)/.exec(comment!)?.[1]?.replaceAll("'", ''),
  ]);
}

/** The options and their defaults in the table that follows a sentence or a heading of a page. */
function documented(page: string, before: string): Defaults {
  const [, after = ''] = readPage(page).text.split(`\n${before}`);
  const [, table = ''] = /\n\n((?:\|.*\n)+)/.exec(after) ?? [];
  const [titles = [], , ...rows] = table.split('\n').map((row) => row.split('|').map((cell) => cell.trim()));
  const column = titles.indexOf('default');
  return new Map(
    rows.flatMap((cells) =>
      [...(cells[1] ?? '').matchAll(/\w+/g)].map(([option]) => [option, cells[column]!.replaceAll(/[`']/g, '')]),
    ),
  );
}

const OWNERS = ['src/owners.ts', 'OwnersOptions'] as const;
const forms = (type: string) => ['src/http/core/options.ts', type] as const;
const waits = (type: string) => ['src/stored-lock.ts', type] as const;

describe.each([
  ['docs/http.md', '## Options', [OWNERS, forms('GuardOptions'), forms('TargetOptions'), forms('FormOptions')]],
  ['docs/locks.md', '`new Lock(name, options?)` takes:', [OWNERS, ['src/lock.ts', 'LockOptions']]],
  [
    'docs/locks.md',
    '`acquire(options?)` and `run(work, options?)` take:',
    ['TryOptions', 'AcquireSyncOptions', 'AcquireOptions', 'RunOptions'].map(waits),
  ],
  ['docs/stores/redis.md', '## Options', [['src/stores/redis/redis-store.ts', 'RedisStoreOptions']]],
  ['docs/stores/postgres.md', '## Options', [['src/stores/postgres/postgres-store.ts', 'PostgresStoreOptions']]],
] as const)('%s: %s', (page, before, types) => {
  const inDocument = documented(page, before);
  const inTypes: Defaults = new Map(types.flatMap(commented));

  it('names the options that there are', () => {
    expect(inTypes.size).toBeGreaterThan(4);
    expect([...inDocument.keys()].toSorted()).toEqual([...inTypes.keys()].toSorted());
  });

  it('gives the same defaults as the types', () => {
    for (const [option, value] of inTypes) {
      if (value !== undefined) expect(inDocument.get(option), option).toBe(value);
    }
  });
});

describe('docs/cli.md', () => {
  const { text } = readPage('docs/cli.md');

  it('names options that the command has', () => {
    const named = [...text.matchAll(/(?<=[ `(])--?[a-zA-Z][a-z-]*/g)].map(([option]) => option);
    expect(named.length).toBeGreaterThan(20);
    for (const option of named) expect(HELP).toMatch(new RegExp(`(?<![\\w-])${option}(?![\\w-])`));
  });

  it('gives the exit codes of its help', () => {
    const codes = [...text.matchAll(/^\| (\d+(?:, \d+)*) +\|/gm)].flatMap(([, list]) => list!.split(', '));
    const [, exits = ''] = HELP.split('Exit status of run');
    expect(codes).toEqual([...exits.matchAll(/^ {2}(\d+) /gm)].map(([, code]) => code));
  });
});
