// The site that is made of these pages. They are written to be read on GitHub too, so the site follows what that does: its
// anchors, README.md as the page of a folder, and links to files of the repository.

import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

import { defineConfig } from 'vitepress';

const docs = join(import.meta.dirname, '..');
const REPOSITORY = 'https://github.com/semlock/semlock';

export default defineConfig({
  title: 'semlock',
  description: 'A lock that processes share, for Node.js servers',
  base: process.env.DOCS_BASE ?? '/',
  srcExclude: ['public/**'],
  rewrites: { 'README.md': 'index.md' },
  themeConfig: {
    nav: [{ text: 'API reference', link: '/reference/index.html', target: '_self' }],
    sidebar: sidebar(),
    outline: 'deep',
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
  },
  markdown: {
    anchor: { slugify },
    config: (md) => md.core.ruler.push('links of the repository', leadOutside),
  },
});

/** The list of docs/README.md. */
function sidebar() {
  const sections = readFileSync(join(docs, 'README.md'), 'utf8').split(/^## /m).slice(1);
  return sections.map((section) => ({ text: section.split('\n', 1)[0], items: pagesIn(section) }));
}

function pagesIn(text) {
  const found = [...text.matchAll(/\[([^\]]+)\]\(([\w/-]+)\.md\)/g)].map(([, text, page]) => ({
    text,
    link: `/${page}`,
  }));
  return found.filter(({ link }, index) => found.findIndex((other) => other.link === link) === index);
}

/** As GitHub makes anchors of headings. */
function slugify(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** Links that lead out of this folder lead to the repository. */
function leadOutside({ tokens, env }) {
  const folder = posix.join('docs', posix.dirname(env.relativePath));
  for (const token of tokens.flatMap(({ children }) => children ?? [])) {
    const href = token.attrGet('href');
    if (token.type !== 'link_open' || href === null || /^([a-z]+:|#|\/)/.test(href)) continue;
    const path = posix.join(folder, href);
    if (!path.startsWith('docs/')) token.attrSet('href', `${REPOSITORY}/blob/main/${path}`);
  }
}
