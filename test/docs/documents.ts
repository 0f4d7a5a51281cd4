// The documents of the project, and what can be asked of a Markdown file: its headings as addresses, its links, its text.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Page {
  /** Its path in the repository: `docs/errors.md`. */
  readonly path: string;
  readonly text: string;
}

export interface Link {
  /** Where it stands: `docs/errors.md:12`. */
  readonly place: string;
  /** The path in the repository that it leads to. */
  readonly path: string;
  /** What follows the `#`. */
  readonly anchor: string | undefined;
  /** What is shown to a reader who points at it: `[text](path "title")`. */
  readonly title: string | undefined;
}

export function readPage(path: string): Page {
  return { path, text: readFileSync(root + path, 'utf8') };
}

/** All that readers are given as documents: each Markdown file of the repository. */
export function documents(): Page[] {
  const top = readdirSync(root).filter((file) => file.endsWith('.md'));
  return [...top, ...pages(), ...['native', 'example-app', 'examples', 'test'].flatMap(markdownIn)].map(readPage);
}

/** The paths of the pages in `docs/`. */
export function pages(): string[] {
  return markdownIn('docs');
}

function markdownIn(folder: string): string[] {
  return readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !/(^|\/)(node_modules|\.vitepress|public)\//.test(file))
    .map((file) => `${folder}/${file}`);
}

/** The text with its code blocks emptied, so that what stands in them is neither heading nor link. */
export function prose({ text }: Pick<Page, 'text'>): string {
  return text.replace(/^```.*\n[\s\S]*?^```$/gm, (block) => block.replace(/[^\n]/g, ''));
}

/** The anchors of a page, as GitHub makes them of its headings. */
export function anchors(page: Pick<Page, 'text'>): string[] {
  const seen = new Map<string, number>();
  return [...prose(page).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => {
    const slug = heading!
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  });
}

/** The links of a page that stay within the repository. */
export function links(page: Page): Link[] {
  const lines = prose(page).split('\n');
  return lines.flatMap((line, index) =>
    [...line.replace(/`[^`]*`/g, '').matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?(?: "([^"]*)")?\)/g)].map(
      ([, to, anchor, title]) => ({
        place: `${page.path}:${index + 1}`,
        path: to === '' ? page.path : posix.join(dirname(page.path), to!),
        anchor,
        title,
      }),
    ),
  );
}
