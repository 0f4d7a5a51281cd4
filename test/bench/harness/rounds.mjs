// The order of trials. In each round every side runs once, and the order turns from round to round, so that what
// changes on the machine meanwhile hits all sides alike.

import { runTrial } from './trial.mjs';

/**
 * Runs all sides `repetitions` times. A side that fails once has failed, and is not run again. A side that mostly waits
 * (`idle`) has all its trials at the same time, before the others.
 *
 * @param {(line: string) => void} tell - hears of the progress.
 * @returns one `{ side, trials, failure }` for each side: the numbers of its trials in order, or why it failed.
 */
export async function runRounds(sides, repetitions, tell) {
  const outcomes = sides.map((side) => ({ side, trials: [], failure: undefined }));

  const idle = outcomes.filter(({ side }) => side.idle);
  if (idle.length > 0) tell('waiting');
  await Promise.all(idle.flatMap((outcome) => Array.from({ length: repetitions }, () => runOnce(outcome))));

  const busy = outcomes.filter(({ side }) => !side.idle);
  for (let round = 0; round < repetitions; round++) {
    const order = round % 2 === 0 ? busy : busy.toReversed();
    for (const outcome of order) {
      if (outcome.failure !== undefined) continue;
      tell(
        `round ${round + 1} of ${repetitions}: ${[outcome.side.group, outcome.side.name].filter(Boolean).join(', ')}`,
      );
      await runOnce(outcome);
    }
  }
  return outcomes;
}

async function runOnce(outcome) {
  try {
    outcome.trials.push(await runTrial(outcome.side.trial));
  } catch (error) {
    outcome.failure = error.message;
  }
}
