// Each code of an error has a section in docs/errors.md, under its own name, so that it can be linked to.

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { ERRORS, SemlockError, type SemlockErrorCode } from '../../src/errors.js';
import { anchors, readPage, root } from './documents.js';

const codes = Object.keys(ERRORS) as SemlockErrorCode[];

/** What a page says under the heading of each code, without line breaks and marks of code. */
function sections(text: string): Map<string, string> {
  const parts = text.split('\n### ').slice(1);
  return new Map(
    parts.map((part) => [
      part.split('\n', 1)[0]!,
      part
        .replace(/^.*\n+/, '')
        .replace(/\n/g, ' ')
        .replace(/`/g, ''),
    ]),
  );
}

describe('docs/errors.md', () => {
  it('has a section for each code, and no other', () => {
    const documented = anchors(readPage('docs/errors.md')).filter((anchor) => anchor.startsWith('err_'));
    expect(codes.length).toBeGreaterThan(25);
    expect(documented.toSorted()).toEqual(codes.map((code) => code.toLowerCase()).toSorted());
  });

  it('says first of each what the table of errors says', () => {
    const said = sections(readPage('docs/errors.md').text);
    const others = codes.filter((code) => said.get(code)?.startsWith(ERRORS[code]) !== true);
    expect(others).toEqual([]);
  });

  it('is where the messages of errors lead to', () => {
    const { homepage } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { homepage: string };
    for (const code of codes) {
      const { message } = new SemlockError(code, 'something is wrong');
      const [, address, path, anchor] = /; see (https:\S+)\/blob\/main\/(\S+)#(\S+)$/.exec(message)!;
      expect(address).toBe(homepage.replace(/#.*/, ''));
      expect(anchors(readPage(path!))).toContain(anchor);
    }
  });
});
