// Figures that were measured stand in the results of the benchmarks, word for word: when those are made anew, the documents
// follow or this fails. So do the figures of limits and defaults with the code that sets them.

import { readdirSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { runProgram } from '../support/run-program.js';
import { documents, prose, readPage, root, type Page } from './documents.js';

const results = readPage('test/bench/RESULTS.md').text;

/** The part of a document under a heading, up to the next one of its kind. */
function section(path: string, heading: string): string {
  const [, part] = readPage(path).text.split(`\n## ${heading}\n`);
  if (part === undefined) throw new Error(`${path} has no section "${heading}"`);
  return part.split('\n## ')[0]!;
}

/** What is a figure: a number with a unit, or words in place of one. Whole hundreds and the like are not told apart. */
const NUMBER =
  /(?<![\w.])\d+(?:[ .]\d+)*(?:(?: |-)(?:ns|µs|ms|s|seconds?|%|times|[KMG]iB)(?!\w)|\/s)|(?<![\w.])0\.\d+(?!\.?\d)/;
const WORDS =
  /(?:tens|hundreds|thousands|a few|some) (?:of )?(?:\w*seconds|[nµm]s)(?!\w)|\b(?:twice|half|an? \w+th) (?:of )?the time|up\s+to a second/;
const FIGURE = new RegExp(`${NUMBER.source}|${WORDS.source}`, 'g');

/** Figures that are no results: limits, defaults and what tests hold the code to, each with where it is set. */
const SET: Record<string, readonly (readonly [file: string, text: string])[]> = {
  '2 seconds': [['README.md', 'waitMs: 2_000']],
  '15 seconds': [['src/stores/redis/redis-store.ts', 'leaseMs: integer(300, 86_400_000, 15_000)']],
  '15 s': [['package.json', 'SEMLOCK_KILLS=100']],
  '30 s': [['src/http/core/lock-use.ts', 'ORPHAN_AFTER_MS = 30_000']],
  '5 s': [
    ['native/core/membership.h', 'kGateBoundNs = 5000000000'],
    ['src/http/core/exchange.ts', 'RELEASE_MS = 5_000'],
  ],
  '6 s': [['src/stores/remote/session.ts', 'CLOSE_MS = 3_000']], // twice
  '2 s': [['src/stores/remote/request.ts', 'SLOW_POLL_MS = 2_000']],
  '100 ms': [
    ['native/core/latched_record.cc', 'kPatienceNs = 100000000'],
    ['native/core/lock_table.cc', 'kPauseNs = 100000000'],
    ['test/support/remote/recovery.ts', 'expect(p99).toBeLessThanOrEqual(100)'],
  ],
  '250 ms': [['native/core/wait_service.cc', 'kLookNs = 250000000']],
  '500 ms': [['native/core/wait_service.cc', 'kLookNs = 250000000']], // two looks
  '6.4 s': [['native/core/latched_record.cc', 'kMostDoublings = 6']],
  '0.1 s': [['native/core/foreign_wait.cc', 'kLookNs = 100000000']],
  '0.5 s': [['native/core/membership.cc', 'kTableLostNs = 500000000']],
  '20 ms': [
    ['native/core/wait_service.cc', 'kRoundNs = 20000000'],
    ['native/core/foreign_wait.cc', 'kSleepNs = 20000000'],
    ['native/core/membership.cc', 'kGateRoundNs = 20000000'],
    ['native/core/latch.cc', 'kStuckNs = 20000000'],
  ],
  '5 ms': [['native/core/lock_table.cc', 'kLittlePatienceNs = 5000000']],
  '2 ms': [['native/core/leftovers.cc', 'kLongNs = 2000000']],
  '1 ms': [['native/core/latch.h', 'kLatchBoundNs = 1000000']],
  '50 µs': [['native/core/wait_service.cc', 'kSpinNs = 50000']],
  '2.1 times': [['test/integration/cli/start.test.ts', 'MOST = 2.1']],
  '64 KiB': [
    ['native/core/layout.h', 'kGrowRecords = 256'], // of 256 bytes
    ['src/http/node/stream-progress.ts', 'PIECE_BYTES = 65_536'],
  ],
  '200 KiB': [['test/bench/RESULTS.md', '| 200 KiB (']],
  '4 KiB': [['native/core/layout.h', 'kMaxNamed = 64']], // a page of memory for each of them
  '10 ms': [['src/stores/postgres/polling.ts', '[FIRST_MS, LAST_MS] = [10, 1_000]']],
  '64 MiB': [], // Docker's
};

function figures(text: string): string[] {
  return [...text.matchAll(FIGURE)].map(([figure]) => figure);
}

/** Figures that are not among the results. */
function unfounded(text: string): string[] {
  return figures(text).filter((figure) => !figures(results).includes(figure));
}

/** Those that are neither set anywhere nor, on the pages that give results, one of these. */
function madeUp({ path, text }: Page): string[] {
  const words = prose({ text }).replace(/ "[^"]*"\)/g, ')'); // without the names of tests
  const given = ['README.md', 'docs/performance.md'].includes(path) ? unfounded(words) : figures(words);
  return given.filter((figure) => !(figure in SET)).map((figure) => `${path}: ${figure}`);
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

describe('all other figures', () => {
  const pages = documents().filter(({ path }) => path !== 'test/bench/RESULTS.md');

  it('are limits and defaults, or results', () => {
    expect(pages.flatMap(madeUp)).toEqual([]);
  });

  it.each(Object.entries(SET))('%s: is what it is set to, and stands in a document', (figure, places) => {
    for (const [file, text] of places) expect(readPage(file).text, file).toContain(text);
    expect(pages.some((page) => figures(prose(page)).includes(figure))).toBe(true);
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

  it('finds a figure that nobody measured or set, in words too', () => {
    const text =
      'In 100 ms, 110 ms, some 7 seconds or 3.5 times of it, tens of ms, twice the time, or up\nto a second. 0.1.0\n```\n8 s\n```\n';
    expect(madeUp({ path: 'page.md', text })).toEqual([
      'page.md: 110 ms',
      'page.md: 7 seconds',
      'page.md: 3.5 times',
      'page.md: tens of ms',
      'page.md: twice the time',
      'page.md: up\nto a second',
    ]);
  });
});
