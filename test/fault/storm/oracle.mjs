// The oracle that watches over the storm, and what is counted beside it: see ../addon/hold_oracle.cc.

import { createRequire } from 'node:module';

export const oracle = createRequire(import.meta.url)('../addon/build/Release/hold_oracle.node');

/** What happens in all processes of a storm together. */
const TALLIES = ['tried', 'waited', 'blocked', 'stole', 'timedOut', 'aborted', 'late'];

/** @param {string} what one of the TALLIES */
export const tally = (what) => oracle.tally(TALLIES.indexOf(what));

/** @returns {Record<string, number>} */
export const tallies = () => Object.fromEntries(TALLIES.map((what, number) => [what, oracle.tallied(number)]));

/** Nobody may wait so much longer than it wanted to, nor a lock stay unused for so long: a loaded machine is slow. */
export const STUCK_MS = 5000;
