// The figures of README.md and docs/performance.md, put in anew from the results. A document has words around them, so each
// figure is found by its place: the lists say which figures a document has, in the order in which they stand there.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { figureOf, NotMeasured } from './results.mjs';

const root = join(import.meta.dirname, '../../..');

/** What is a figure: a number with a unit, or a ratio below 1. */
const FIGURE = /(?<![\w.])\d+(?:[ .]\d+)*(?: (?:ns|µs|ms|s|%|[KMG]iB)(?!\w)|\/s)|(?<![\w.])0\.\d+/g;

const pair = (side) => ['uncontended', 'pairNs', side];
const handOver = (side) => ['handover', 'p50', side];
const recovery = (key, side) => ['recovery', key, side, '50 MiB'];
const added = (side, group) => ['http', 'addedPercent', side, group];
const memory = (key) => ['scale', key, 'names, lock objects kept', '1'];

/** A figure that nobody measures stays as it is. */
const CONSTANT = undefined;

const DOCUMENTS = [
  {
    path: 'README.md',
    section: 'How fast',
    figures: [
      pair('Lock'),
      pair('two native calls'),
      pair('Lock.acquire()'),
      pair('async-mutex'),
      handOver('Lock.acquire()'),
      handOver('fs-native-extensions'),
      handOver('proper-lockfile'),
      recovery('p99', 'Lock'),
      recovery('p99', 'fs-ext'),
      recovery('p99', 'proper-lockfile'),
      added('fileLock(), free', 'Express 5'),
      added('a middleware that does nothing', 'Express 5'),
    ],
  },
  {
    path: 'docs/performance.md',
    figures: [
      pair('two native calls'),
      pair('Lock'),
      pair('Lock.acquire()'),
      pair('keyed lock, hot'),
      pair('keyed lock, cold'),
      pair('fs-ext'),
      pair('fs-native-extensions'),
      pair('async-mutex'),
      pair('proper-lockfile'),
      pair('Redis'),
      handOver('Lock.acquire()'),
      handOver('C program'),
      handOver('fs-native-extensions'),
      CONSTANT, // how often proper-lockfile asks
      handOver('proper-lockfile'),
      ['contended', 'fairness', 'Lock.acquire()', '8 processes'],
      CONSTANT, // the size of the holder
      recovery('p50', 'Lock'),
      recovery('p99', 'Lock'),
      recovery('p50', 'fs-ext'),
      added('fileLock(), free', 'Express 5'),
      added('a middleware that does nothing', 'Express 5'),
      added('fileLock(), free', 'plain http'),
      memory('memoryBytes'),
      memory('sharedBytes'),
    ],
  },
];

/** Puts the figures of these results into the documents. */
export function writeDocuments(results) {
  for (const { path, text } of documentsWith(results)) writeFileSync(join(root, path), text);
}

/** The documents with the figures of these results. Figures of questions without results stay as they are. */
export function documentsWith(results) {
  return DOCUMENTS.map(({ path, section, figures }) => {
    const text = readFileSync(join(root, path), 'utf8');
    const [start, end] = section === undefined ? [0, text.length] : extent(text, section);
    const part = withFigures(text.slice(start, end), figures, results, path);
    return { path, text: text.slice(0, start) + part + text.slice(end) };
  });
}

/** Where the section of this heading starts and ends. */
function extent(text, heading) {
  const start = text.indexOf(`\n## ${heading}\n`) + 1;
  if (start === 0) throw new Error(`there is no section "${heading}"`);
  const end = text.indexOf('\n## ', start);
  return [start, end === -1 ? text.length : end];
}

/** The text with the figures of the results, each in the place of the one that stood there. */
function withFigures(text, figures, results, path) {
  const found = text.match(FIGURE) ?? [];
  if (found.length !== figures.length) {
    throw new Error(
      `${path} has ${found.length} figures, but test/bench/harness/documents.mjs lists ${figures.length}`,
    );
  }
  const next = figures.values();
  return text.replace(FIGURE, (figure) => {
    const which = next.next().value;
    return which === CONSTANT ? figure : measured(results, which, figure);
  });
}

function measured(results, which, otherwise) {
  try {
    return figureOf(results, ...which);
  } catch (error) {
    if (error instanceof NotMeasured) return otherwise;
    throw error;
  }
}
