// Figures that were measured stand in the results of the benchmarks, word for word: when those are made anew, the documents
// follow or this fails.

import { readdirSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { runProgram } from '../support/run-program.js';
import { prose, readPage, root } from './documents.js';

const results = readPage('test/bench/RESULTS.md').text;

/** The part of a document under a heading, up to the next one of its kind. */
function section(path: string, heading: string): string {
  const [, part] = readPage(path).text.split(`\n## ${heading}\n`);
  if (part === undefined) throw new Error(`${path} has no section "${heading}"`);
  return part.split('\n## ')[0]!;
}

/** What is a figure: a number with a unit. Whole hundreds and the like, which nobody measures, are not told apart. */
const FIGURE = /(?<![\w.])\d+(?:[ .]\d+)*(?: (?:ns|µs|ms|s|%|[KMG]iB)(?!\w)|\/s)|(?<![\w.])0\.\d+/g;

function figures(text: string): string[] {
  return [...text.matchAll(FIGURE)].map(([figure]) => figure);
}

/** Figures that are not among the results. */
function unfounded(text: string): string[] {
  return figures(text).filter((figure) => !figures(results).includes(figure));
}

describe('the figures of the documents', () => {
  it('in the README are those of the results', () => {
    const text = section('README.md', 'How fast');
    expect(figures(text).length).toBeGreaterThan(5);
    expect(unfounded(text)).toEqual([]);
  });

  it('about performance are those of the results', () => {
    const text = prose(readPage('docs/performance.md'));
    expect(figures(text).length).toBeGreaterThan(15);
    expect(unfounded(text)).toEqual([]);
  });
});

describe('npm run bench', () => {
  it('would write the figures that the documents have', () => {
    const harness = `${root}test/bench/harness`;
    const files = readdirSync(`${root}test/bench/results`);
    const measured = files.filter((file) => file.endsWith('.json')).map((file) => file.replace('.json', ''));
    const script = `
      const { documentsWith } = await import('${harness}/documents.mjs');
      const { readResult } = await import('${harness}/results.mjs');
      console.log(JSON.stringify(documentsWith(${JSON.stringify(measured)}.map(readResult))));`;
    const { stdout } = runProgram(process.execPath, ['--input-type=module', '--eval', script]);
    const documents = JSON.parse(stdout) as { path: string; text: string }[];
    expect(documents.map(({ path }) => path)).toEqual(['README.md', 'docs/performance.md']);
    for (const { path, text } of documents) expect(text, path).toBe(readPage(path).text);
  });
});

describe('the check itself', () => {
  it('finds a figure that was not measured', () => {
    expect(unfounded('in 145 ns, or 146 ns; 12.9 % of 17.3 MiB, 3 GiB, 0.993 or 0.1234')).toEqual([
      '146 ns',
      '17.3 MiB',
      '3 GiB',
      '0.1234',
    ]);
  });
});
