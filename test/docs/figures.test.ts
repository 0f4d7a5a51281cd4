// Figures that were measured stand in the results of the benchmarks, word for word: when those are made anew, the documents
// follow or this fails.

import { describe, expect, it } from 'vitest';

import { prose, readPage } from './documents.js';

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
