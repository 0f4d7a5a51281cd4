// Each code of an error has a section in docs/errors.md, under its own name, so that it can be linked to.

import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { SemlockError, type SemlockErrorCode } from '../../src/errors.js';
import { anchors, readPage, root } from './documents.js';

/** The codes that the type allows, in the order in which it lists them. */
function codes(): string[] {
  const source = readFileSync(`${root}src/errors.ts`, 'utf8');
  return [...source.matchAll(/'(ERR_SEMLOCK_\w+)'/g)].map(([, code]) => code!);
}

describe('docs/errors.md', () => {
  it('has a section for each code, and no other', () => {
    const documented = anchors(readPage('docs/errors.md')).filter((anchor) => anchor.startsWith('err_'));
    expect(codes().length).toBeGreaterThan(25);
    expect(documented.toSorted()).toEqual([...new Set(codes())].map((code) => code.toLowerCase()).toSorted());
  });

  it('is where the messages of errors lead to', () => {
    const { homepage } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { homepage: string };
    for (const code of codes()) {
      const { message } = new SemlockError(code as SemlockErrorCode, 'something is wrong');
      const [, address, path, anchor] = /; see (https:\S+)\/blob\/main\/(\S+)#(\S+)$/.exec(message)!;
      expect(address).toBe(homepage.replace(/#.*/, ''));
      expect(anchors(readPage(path!))).toContain(anchor);
    }
  });
});
