// The code in documents: fenced blocks of Markdown, also of the Markdown in documentation comments.

export interface CodeBlock {
  /** Where it stands, as an editor opens it: `README.md:42`. */
  readonly place: string;
  readonly language: string;
  readonly code: string;
  /** The line of the file that the code starts on. */
  readonly line: number;
}

/** The fenced code blocks of a text, in order. A source file has them behind the stars of its comments. */
export function codeBlocks(file: string, text: string): CodeBlock[] {
  const inComment = file.endsWith('.md') ? '' : String.raw`\s*\* ?`;
  const fence = new RegExp(`^${inComment}\`\`\`(\\w*)$`);
  const prefix = new RegExp(`^${inComment}`);
  const blocks: CodeBlock[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, row] of text.split('\n').entries()) {
    const mark = fence.exec(row)?.[1];
    if (open === undefined) {
      if (mark !== undefined) open = { language: mark, line: index + 2, lines: [] };
    } else if (mark === '') {
      const { language, line, lines } = open;
      blocks.push({ language, line, place: `${file}:${line}`, code: `${lines.join('\n')}\n` });
      open = undefined;
    } else {
      open.lines.push(row.replace(prefix, ''));
    }
  }
  return blocks;
}
