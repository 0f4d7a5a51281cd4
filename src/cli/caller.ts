// What the caller of this command has set up for the command that it wants to run. Node.js hides it, so semlock.cjs passes
// it on in the environment.

import { constants } from 'node:os';

export interface Caller {
  /** Descriptors above 2 that it gave. */
  readonly descriptors: readonly number[];
  /** Signals that it ignores, as under nohup(1): they are neither passed on, nor do they end anything. */
  readonly ignores: ReadonlySet<NodeJS.Signals>;
}

/** Reads what semlock.cjs wrote: the mask of signals in hexadecimal, and the descriptors. Nobody else shall find it. */
export function readCaller(env: NodeJS.ProcessEnv): Caller {
  const [mask = '0', ...descriptors] = (env['SEMLOCK_CALLER'] ?? '').split(' ');
  delete env['SEMLOCK_CALLER'];
  const bits = /^[\da-f]+$/i.test(mask) ? BigInt(`0x${mask}`) : 0n;
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return {
    descriptors: descriptors.map(Number).filter((number) => Number.isInteger(number) && number > 2),
    ignores: new Set(names.filter(([, number]) => (bits >> BigInt(number - 1)) & 1n).map(([name]) => name)),
  };
}
