// Compiles code blocks as if a reader had pasted each into a file of its own: with the settings of this project, the package
// under its name, and the reader's own things as placeholders.d.ts declares them.

import { fileURLToPath } from 'node:url';

import * as semlock from 'semlock';
import ts from 'typescript';

import type { CodeBlock } from './code-blocks.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const config = ts.getParsedCommandLineOfConfigFile(
  `${root}.config/tsconfig.json`,
  { noEmit: true },
  {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (problem) => {
      throw new Error(ts.flattenDiagnosticMessageText(problem.messageText, '\n'));
    },
  },
)!;

/** How blocks differ: code for NestJS has decorators of the older flavour, and JavaScript says no types. */
const FLAVOURS = {
  legacy: { experimentalDecorators: true },
  script: { noImplicitAny: false },
  typed: {},
} satisfies Record<string, ts.CompilerOptions>;

function flavourOf({ code, language }: CodeBlock): keyof typeof FLAVOURS {
  if (language === 'js') return 'script';
  return code.includes("from '@nestjs/") ? 'legacy' : 'typed';
}

/** What the compiler finds wrong: `README.md:42: message`. */
export function typeErrors(blocks: readonly CodeBlock[]): string[] {
  return Object.entries(FLAVOURS).flatMap(([name, options]) =>
    errorsOf(
      blocks.filter((block) => flavourOf(block) === name),
      options,
    ),
  );
}

function errorsOf(blocks: readonly CodeBlock[], flavour: ts.CompilerOptions): string[] {
  const byFile = new Map(blocks.map((block, index) => [`${root}test/docs/block-${index}.${block.language}`, block]));
  // What this project asks of itself beyond `strict` is not asked of its readers.
  const reader = { noPropertyAccessFromIndexSignature: false, noUncheckedIndexedAccess: false };
  const options = { ...config.options, ...flavour, ...reader, allowJs: true, checkJs: true };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => byFile.has(file) || fileExists(file);
  host.readFile = (file) => {
    const block = byFile.get(file);
    return block === undefined ? readFile(file) : asModule(block);
  };
  host.getSourceFile = (file, target, ...rest) => {
    const block = byFile.get(file);
    return block === undefined
      ? getSourceFile(file, target, ...rest)
      : ts.createSourceFile(file, asModule(block), target);
  };
  const program = ts.createProgram([...byFile.keys(), `${root}test/docs/placeholders.d.ts`], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n');
    const block = file && byFile.get(file.fileName);
    if (block === undefined) return `${file?.fileName ?? 'compiler'}: ${message}`;
    const line = block.line + ts.getLineAndCharacterOfPosition(file!, start!).line;
    return `${block.place.replace(/:\d+$/, '')}:${line}: ${message}`;
  });
}

/**
 * `{ … }` is what the reader puts there. A block that does not import the package gets what it uses of it: the first
 * example of a page shows the import, the others need not. All of it stays on the first line, so that the lines of errors
 * are right.
 */
function asModule({ code, language }: CodeBlock): string {
  const complete = code.replaceAll('{ … }', '{ }');
  if (language === 'cjs' || code.includes("from 'semlock")) return complete;
  const names = Object.keys(semlock).filter((name) => name !== 'default');
  const used = names.filter((name) => new RegExp(String.raw`\b${name}\b`).test(code));
  return `import { ${used.join(', ')} } from 'semlock'; ${complete}`;
}
