// The other side of a trial: what runs in the fresh process.

import { once } from 'node:events';

/** Calls `measure` with the arguments of the trial, reports what it returns, and ends the process. */
export async function inTrial(measure) {
  let report;
  try {
    report = { result: await measure(JSON.parse(process.argv[2])) };
  } catch (error) {
    report = { failure: firstLine(error) };
  }
  process.send(report, () => process.exit());
}

/**
 * For a process that a trial starts: calls `measure` with its arguments and with a function that says that this process
 * is ready and waits for the message to start; reports what it returns, and ends the process.
 */
export async function asWorker(measure) {
  let report;
  try {
    report = await measure(JSON.parse(process.argv[2]), async () => {
      process.send({});
      const [message] = await once(process, 'message');
      return message;
    });
  } catch (error) {
    report = { failure: firstLine(error) };
  }
  process.send(report, () => process.exit());
}

function firstLine(error) {
  const text = error instanceof Error ? error.message || error.code || error.name : String(error);
  return text.split('\n')[0];
}

/** CLOCK_MONOTONIC in nanoseconds: the same in all processes. */
export function now() {
  return Number(process.hrtime.bigint());
}

/** Keeps this thread busy. */
export function work(ns) {
  for (const end = now() + ns; now() < end;);
}

const nobody = new Int32Array(new SharedArrayBuffer(4));

/** Lets this thread rest. */
export function rest(ms) {
  Atomics.wait(nobody, 0, 0, ms);
}

/** The same in an order that is drawn by lot. */
export function shuffled(items) {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
}
