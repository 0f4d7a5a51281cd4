// Nobody is led astray: links within the repository lead to files and headings that exist, and every page can be found.

import { existsSync } from 'node:fs';

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

describe('the documents', () => {
  it('link to files and headings that exist', () => {
    expect(all.flatMap(broken)).toEqual([]);
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
