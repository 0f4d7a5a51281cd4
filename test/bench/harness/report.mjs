// RESULTS.md, made anew from the results of all questions, each as it was last measured.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { writeDocuments } from './documents.mjs';
import { readResult, writeChart } from './results.mjs';
import { summary, summaryChart } from './summary.mjs';
import { forMarkdown, reachTable, tableOf } from './table.mjs';

/** From this share of the processors on, others are worth a mention. */
const NOTABLE_SHARE = 0.05;

const TITLE = '# Results of the benchmarks';

const METHOD = `Made by \`npm run bench\`; what is measured and how is in the files beside this one. Each trial runs in a fresh process
and warms up first. The sides take turns, in an order that is reversed from round to round. A figure is the median of
the trials, with the least and the most of them in parentheses; ratios are medians of the ratios within a round. File
locks are taken on a file in the folder for temporary files, unless it says otherwise. Processes, time and memory are
counted alike for all.`;

const TARGETS = `## What was to be reached

Targets of this project, as ratios within one run, and why some of them were not reached.`;

/** Writes the report on the questions of these names that have been measured, and its figures into the documents. */
export function writeReport(names) {
  const results = names.map(readResult).filter((result) => result !== undefined);
  const chart = summaryChart(results.find(({ name }) => name === 'uncontended'));
  if (chart !== undefined) writeChart('summary', chart);
  const parts = [
    TITLE,
    ...(chart === undefined ? [] : ['![To acquire and release a free lock](results/summary.svg)']),
    ...summary(results),
    METHOD,
    ...results.map(chapter),
    TARGETS,
    ...results.filter(({ reach }) => reach.length > 0).map(reached),
  ];
  writeFileSync(join(import.meta.dirname, '../RESULTS.md'), `${parts.join('\n\n')}\n`);
  writeDocuments(results);
}

function chapter(result) {
  const { title, asks, charts, sides } = result;
  const does = new Map(sides.map(({ name, does }) => [name, does]));
  return [
    `## ${title}`,
    `${asks} \`npm run bench -- ${result.name}\``,
    ...charts.map((chart) => `![${title}](results/${chart}.svg)`),
    forMarkdown(tableOf(result)),
    'What each side does:',
    [...does].map(([name, text]) => `- **${name}**: ${text}.`).join('\n'),
    circumstances(result),
  ].join('\n\n');
}

/** What was to be reached and what was, and why not where the question knows. */
function reached({ title, reach }) {
  const reasons = reach.filter(({ reached, because }) => reached === false && because !== undefined);
  return [
    `### ${title}: targets`,
    forMarkdown(reachTable(reach)),
    ...reasons.map(({ claim, because }) => `**${claim}**: ${because}`),
  ].join('\n\n');
}

function circumstances({ date, minutes, repetitions, scale, machine, versions, shareOfOthers }) {
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const lines = [
    `${date}, ${minutes} min, ${repetitions} repetitions${scale === 1 ? '' : `, scale ${scale}`}.`,
    `${machine.processors}, ${machine.memory}, ${machine.system}, Node.js ${machine.node}.`,
    `${packages.join(', ')}.`,
  ];
  if (shareOfOthers >= NOTABLE_SHARE) {
    lines.push(
      `The machine was shared: other programs used ${Math.round(shareOfOthers * 100)} % of its processors meanwhile.`,
    );
  }
  return lines.join(' ');
}
