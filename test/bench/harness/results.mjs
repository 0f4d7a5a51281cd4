// What is kept of a question: one JSON file that says everything its table, its chart and its part of RESULTS.md do.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { format as prettier, resolveConfig } from 'prettier';

import { format as figure } from './format.mjs';
import { Figures } from './reach.mjs';

const folder = join(import.meta.dirname, '../results');

/** Makes the result of a question from what its trials gave. */
export function resultOf(question, outcomes, circumstances) {
  return {
    name: question.name,
    title: question.title,
    asks: question.asks,
    ...circumstances,
    metrics: question.metrics.map(({ key, title, unit }) => ({ key, title, unit })),
    sides: outcomes.map(({ side: { name, group, does }, trials, failure }) => ({
      name,
      group,
      does,
      failure,
      figures:
        failure === undefined
          ? Object.fromEntries(question.metrics.map(({ key, of }) => [key, rounded(of(trials))]))
          : undefined,
    })),
    reach: question.reach(new Figures(outcomes)),
    charts: question.charts,
  };
}

function rounded(spread) {
  return Object.fromEntries(Object.entries(spread).map(([key, value]) => [key, Number(value.toPrecision(5))]));
}

export async function writeResult(result) {
  const file = join(folder, `${result.name}.json`);
  const options = { ...(await resolveConfig(file)), parser: 'json' };
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, await prettier(JSON.stringify(result), options));
}

/** The result that was written last, if there is one. */
export function readResult(name) {
  const file = join(folder, `${name}.json`);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export class NotMeasured extends Error {}

/** One figure in words, from the results by the names of its question, metric, side and group. */
export function figureOf(results, question, key, name, group) {
  const result = results.find((each) => each.name === question);
  const side = result?.sides.find((each) => each.name === name && (group === undefined || each.group === group));
  const unit = result?.metrics.find((each) => each.key === key)?.unit;
  if (side?.figures === undefined || unit === undefined) throw new NotMeasured(`${question}, ${name}: ${key}`);
  return figure(side.figures[key].value, unit);
}

export function writeChart(name, svg) {
  writeFileSync(join(folder, `${name}.svg`), `${svg}\n`);
}
