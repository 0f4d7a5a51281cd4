// Nobody is led astray: links within the repository lead to files and headings that exist, and every page can be found.

import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

import { describe, expect, it } from 'vitest';

import { anchors, documents, links, pages, readPage, root, type Link, type Page } from './documents.js';

const all = documents();

/** Links that lead nowhere. */
function broken(page: Page): string[] {
  return links(page)
    .filter(({ path, anchor }) => !existsSync(root + path) || (anchor !== undefined && !hasAnchor(path, anchor)))
    .map(({ place, path, anchor }: Link) => `${place}: ${path}${anchor === undefined ? '' : `#${anchor}`}`);
}

function hasAnchor(path: string, anchor: string): boolean {
  return path.endsWith('.md') && anchors(readPage(path)).includes(anchor);
}

/** Links to test files that do not name, as their title, a test that is there, or comes from what the file imports of its kind. */
function withoutTest(page: Page): string[] {
  return links(page)
    .filter(({ path, title }) => path.endsWith('.test.ts') && (title === undefined || !namesOf(path).includes(title)))
    .map(({ place, path, title }) => `${place}: ${path} has no test "${title}"`);
}

/** The lines in which tests, and groups of them, have their names. */
function namesOf(path: string): string {
  const { text } = readPage(path);
  const shared = text.includes('testHistories(') ? readPage('test/support/remote/histories.ts').text : '';
  return (text + shared).match(/^\s*(?:(?:it|describe)\b.*|\]\)\(.*|'.*',)$/gm)?.join('\n') ?? '';
}

/** The rows of what a store on a server promises. */
function promises(page: Page): string[] {
  const [, after = ''] = page.text.split('\n## What it promises\n');
  const [table = ''] = after.split('\nWhat it does not promise');
  return table
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2);
}

/** What every store on a server has to say something of. */
const SITUATIONS = [
  'a holder is killed',
  'a host is lost',
  'a holder is stopped beyond its lease',
  'the event loop of a holder is busy',
  'the server restarts',
  'takes over',
  'the network is cut, in either direction',
  'the clock of the server is set',
];

describe('the documents', () => {
  it('name tests that exist, where they link to some', () => {
    expect(all.flatMap(withoutTest)).toEqual([]);
  });

  it.each(['redis', 'postgres'])('say what %s promises in each situation, and which test shows it', (store) => {
    const rows = promises(readPage(`docs/stores/${store}.md`));
    expect(rows.filter((row) => !row.includes('.test.ts "'))).toEqual([]);
    expect(SITUATIONS.filter((what) => !rows.some((row) => row.split(' | ')[0]!.includes(what)))).toEqual([]);
  });

  it('link to files and headings that exist', () => {
    expect(all.flatMap(broken)).toEqual([]);
  });

  it('are all Markdown files of the repository', () => {
    const folders = new Set(all.map(({ path }) => dirname(path)));
    expect([...folders].toSorted()).toEqual([
      '.',
      'docs',
      'docs/stores',
      'example-app',
      'examples',
      'native',
      'native/model',
      'test/bench',
    ]);
  });

  it('have a list of all pages', () => {
    const listed = new Set(
      ['docs/README.md', 'docs/stores.md'].flatMap((page) => links(readPage(page))).map(({ path }) => path),
    );
    expect(pages().filter((page) => page !== 'docs/README.md' && !listed.has(page))).toEqual([]);
  });

  it('begin with a README that can be read in one go', () => {
    expect(readPage('README.md').text.split('\n').length).toBeLessThanOrEqual(150);
  });
});

describe('the checks themselves', () => {
  const page = (text: string): Page => ({ path: 'docs/page.md', text });

  it('find a file and a heading that do not exist', () => {
    const text =
      '# A `b` c\n[1](errors.md) [2](no.md) [3](#a-b-c) [4](#d) [5](errors.md#no)\n```\n[6](no.md)\n```\n`[7](no.md)`\n';
    // The anchors of a page are those of the file, so those of this one are asked for apart.
    expect(broken(page(text)).filter((each) => !each.includes('docs/page.md#'))).toEqual([
      'docs/page.md:2: docs/no.md',
      'docs/page.md:2: docs/errors.md#no',
    ]);
    expect(anchors(page(text))).toEqual(['a-b-c']);
  });

  it('find that no test is named, or one that does not exist', () => {
    const path = '../test/docs/links.test.ts';
    const none = ['no', 'such', 'test'].join(' '); // in one piece it would be found here
    const text = `[1](${path} "find that no test is named, or one that does not exist") [2](${path} "${none}")\n[3](${path})\n`;
    expect(withoutTest(page(text))).toEqual([
      `docs/page.md:1: test/docs/links.test.ts has no test "${none}"`,
      'docs/page.md:2: test/docs/links.test.ts has no test "undefined"',
    ]);
  });

  it('make anchors as GitHub does', () => {
    const text = '# ERR_SEMLOCK_OPTION\n## /dev/shm\n## What is left, and why?\n## Same\n## Same\n## A [link](x.md)\n';
    expect(anchors(page(text))).toEqual([
      'err_semlock_option',
      'devshm',
      'what-is-left-and-why',
      'same',
      'same-1',
      'a-link',
    ]);
  });
});
