// The options of the HTTP forms stand twice, in the documents and in the comments of the types. Both name all of them, with
// the same defaults.

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { readPage, root } from './documents.js';

/** The default that the comment of each option gives, as it stands there; `undefined` where it gives none. */
function commented(file: string, type: string): Map<string, string | undefined> {
  const [, body = ''] = readFileSync(root + file, 'utf8').split(`\nexport interface ${type}`);
  const [own = ''] = body.split('\n}\n');
  const options = [...own.matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s+(\w+)\?:/gs)];
  return new Map(
    options.map(([, comment, option]) => [option!, /Default `?([^`;:.\n]+)/.exec(comment!)?.[1]?.replaceAll("'", '')]),
  );
}

/** The defaults in the table of options of docs/http.md; `undefined` for `–`. */
function documented(): Map<string, string | undefined> {
  const [, table = ''] = readPage('docs/http.md').text.split('\n## Options\n');
  const rows = [...table.matchAll(/^\| (`\w+`(?:, `\w+`)*) +\| (.*?) +\|/gm)];
  return new Map(
    rows.flatMap(([, names, value]) =>
      [...names!.matchAll(/\w+/g)].map(([name]) => [name, value === '–' ? undefined : value!.replaceAll(/[`']/g, '')]),
    ),
  );
}

describe('the options of the HTTP forms', () => {
  const inTypes = new Map([
    ...commented('src/owners.ts', 'OwnersOptions'),
    ...commented('src/http/core/options.ts', 'GuardOptions<Request>'),
    ...commented('src/http/core/options.ts', 'TargetOptions<Request>'),
    ...commented('src/http/core/options.ts', 'FormOptions<Request'),
  ]);

  it('are all in the documents, and no other', () => {
    expect(inTypes.size).toBeGreaterThan(15);
    expect([...documented().keys()].toSorted()).toEqual([...inTypes.keys()].toSorted());
  });

  it('have the same defaults there', () => {
    const known = [...inTypes].filter(([, value]) => value !== undefined);
    expect(known.length).toBeGreaterThan(7);
    for (const [option, value] of known) expect(documented().get(option), option).toBe(value);
  });
});
