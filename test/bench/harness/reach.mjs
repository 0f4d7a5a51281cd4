// What the figures are to reach, as ratios within one run.

import { ofTrials, ratio } from './statistics.mjs';

/** The figures of a question by side, for the claims that are made about them. */
export class Figures {
  #outcomes;

  constructor(outcomes) {
    this.#outcomes = outcomes;
  }

  /** The trials of a side, or `undefined` where it failed. */
  trials(name, group) {
    const outcome = this.#outcomes.find(({ side }) => side.name === name && side.group === group);
    return outcome === undefined || outcome.failure !== undefined ? undefined : outcome.trials;
  }

  /** The median of one side's trials. */
  median(key, name, group) {
    const trials = this.trials(name, group);
    return trials && ofTrials(key)(trials).value;
  }

  /** The median of the ratios of two sides in each round. */
  ratio(key, [name, group], [otherName, otherGroup]) {
    const [trials, others] = [this.trials(name, group), this.trials(otherName, otherGroup)];
    return trials && others && ratio(trials, others, key).value;
  }
}

/**
 * A claim that holds while `figure` is not above `limit`. `figure` is `undefined` where a side that it is made of
 * failed. `because` says why, for the day on which it is not reached.
 */
export function atMost(limit, claim, figure, { unit = 'ratio', because } = {}) {
  return {
    claim,
    wanted: 'at most',
    limit,
    unit,
    figure,
    reached: figure === undefined ? undefined : figure <= limit,
    because,
  };
}

/** As {@link atMost}, while `figure` is not below `limit`. */
export function atLeast(limit, claim, figure, { unit = 'ratio', because } = {}) {
  return {
    claim,
    wanted: 'at least',
    limit,
    unit,
    figure,
    reached: figure === undefined ? undefined : figure >= limit,
    because,
  };
}
