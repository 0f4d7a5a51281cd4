// npm run bench [-- <question> …] [--reps N] [--scale X]: measures, and writes the figures into results/, RESULTS.md, README.md
// and docs/performance.md.

import { parseArgs } from 'node:util';

import { machine, versions, watchOthers } from './harness/machine.mjs';
import { writeReport } from './harness/report.mjs';
import { readResult, resultOf, writeChart, writeResult } from './harness/results.mjs';
import { runRounds } from './harness/rounds.mjs';
import { forTerminal, reachTable, tableOf } from './harness/table.mjs';
import { questions } from './questions/index.mjs';

const names = questions.map(({ name }) => name);
const USAGE = `usage: npm run bench [-- <question> …] [--reps N] [--scale X]

  questions   ${names.join(', ')}; all unless named
  --reps N    how often each side is measured, 7 unless told otherwise
  --scale X   makes each measurement X times as long, 1 unless told otherwise
  --redraw    measures nothing, and makes tables and charts anew from the results that are there`;

const { chosen, repetitions, scale, redraw } = parseOptions();
for (const question of questions.filter(({ name }) => chosen.includes(name))) {
  const result = redraw ? readResult(question.name) : await ask(question);
  if (result !== undefined) show(question, result);
}
writeReport(names);

function parseOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        reps: { type: 'string', default: '7' },
        scale: { type: 'string', default: '1' },
        redraw: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const unknown = positionals.find((name) => !names.includes(name));
    if (unknown !== undefined) throw new Error(`there is no question "${unknown}"`);
    if (values.help) {
      console.log(USAGE);
      process.exit();
    }
    return {
      chosen: positionals.length > 0 ? positionals : names,
      repetitions: positive('--reps', values.reps, Number.isInteger),
      scale: positive('--scale', values.scale, Number.isFinite),
      redraw: values.redraw,
    };
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function positive(option, text, test) {
  const value = Number(text);
  if (!test(value) || value <= 0) throw new Error(`${option} must be a number above 0, not "${text}"`);
  return value;
}

async function ask(question) {
  const start = Date.now();
  const shareOfOthers = watchOthers();
  const trials = repetitions * (question.trialsPerRepetition ?? 1);
  const outcomes = await runRounds(question.sides(scale), trials, tell);
  tell('');
  const result = resultOf(question, outcomes, {
    date: new Date(start).toISOString().slice(0, 10),
    minutes: Number(((Date.now() - start) / 60_000).toFixed(1)),
    repetitions: trials,
    scale,
    machine: machine(),
    versions: versions(),
    shareOfOthers: Number(shareOfOthers().toFixed(2)),
  });
  await writeResult(result);
  return result;
}

function show(question, result) {
  for (const [name, svg] of Object.entries(question.draw(result))) writeChart(name, svg);

  console.log(`\n${result.title}\n`);
  console.log(forTerminal(tableOf(result)));
  console.log(`\n${forTerminal(reachTable(result.reach))}`);
}

/** One line of progress, which the next one replaces; nothing where nobody watches. */
function tell(line) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}
