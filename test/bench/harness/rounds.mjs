// The order of trials. In each round every side runs once, and the order turns from round to round, so that what
// changes on the machine meanwhile hits all sides alike.

import { runTrial } from './trial.mjs';

/**
 * Runs all sides `repetitions` times. A side that fails once has failed, and is not run again. A side that mostly waits
 * (`idle`) has all its trials at the same time, before the others. Sides with the same `trial` object are measured by
 * one trial, whose report has the numbers of each under its `part`.
 *
 * @param {(line: string) => void} tell - hears of the progress.
 * @returns one `{ side, trials, failure }` for each side: the numbers of its trials in order, or why it failed.
 */
export async function runRounds(sides, repetitions, tell) {
  const outcomes = sides.map((side) => ({ side, trials: [], failure: undefined }));
  const groups = [...new Set(sides.map(({ trial }) => trial))].map((trial) =>
    outcomes.filter(({ side }) => side.trial === trial),
  );

  const idle = groups.filter(([{ side }]) => side.idle);
  if (idle.length > 0) tell('waiting');
  await Promise.all(idle.flatMap((group) => Array.from({ length: repetitions }, () => runOnce(group))));

  const busy = groups.filter(([{ side }]) => !side.idle);
  for (let round = 0; round < repetitions; round++) {
    const order = round % 2 === 0 ? busy : busy.toReversed();
    for (const group of order) {
      const [{ side, failure }] = group;
      if (failure !== undefined) continue;
      const what = [side.group, ...(group.length === 1 ? [side.name] : [])].filter(Boolean);
      tell(`round ${round + 1} of ${repetitions}: ${what.join(', ')}`);
      await runOnce(group);
    }
  }
  return outcomes;
}

async function runOnce(group) {
  try {
    const report = await runTrial(group[0].side.trial);
    for (const { side, trials } of group) trials.push(side.part === undefined ? report : report[side.part]);
  } catch (error) {
    for (const outcome of group) outcome.failure = error.message;
  }
}
