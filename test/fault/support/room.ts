// What one fault test works in: a namespace of its own, and processes that are gone with all that they left when the
// test is over.

import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';

import { onTestFinished } from 'vitest';

import { namespaceId } from '../../../src/names.js';
import { LockProcess } from './lock-process.js';

const SHM = '/dev/shm';
/** Where the tables of this user are. */
export const TABLE_FOLDER = `${SHM}/semlock-${process.geteuid!()}`;

/** Processes that are started before they are needed, because starting one takes longer than most tests. */
const spare: LockProcess[] = [];
const SPARE = 3;

/** Ends the processes that no test needed. */
export async function endSpareProcesses(): Promise<void> {
  await Promise.all(spare.splice(0).map((each) => each.kill()));
}

export class Room {
  readonly namespace = `fault-${randomUUID()}`;
  readonly #processes: LockProcess[] = [];
  readonly #posixNames: string[] = [];

  /** `atTheEnd` is told what is to be done when the room is not needed any more. Default: when the test is over. */
  constructor(atTheEnd: (cleanUp: () => Promise<void>) => void = onTestFinished) {
    atTheEnd(async () => {
      await Promise.all(this.#processes.map((each) => each.kill()));
      for (const file of this.files()) rmSync(file, { recursive: true, force: true });
      for (const name of this.#posixNames) rmSync(`${SHM}/sem.${name.slice(1)}`, { force: true });
    });
  }

  /** A process that has not joined the namespace yet. */
  process(): LockProcess {
    while (spare.length < SPARE) spare.push(LockProcess.start());
    return this.track(spare.shift()!);
  }

  /** Has the process killed when the test is over, if it still runs then. */
  track(process: LockProcess): LockProcess {
    this.#processes.push(process);
    return process;
  }

  /** A name for a semaphore, which is unlinked when the test is over. */
  posixName(): string {
    const name = `/semlock-fault.${randomUUID()}`;
    this.#posixNames.push(name);
    return name;
  }

  get tablePath(): string {
    return `${TABLE_FOLDER}/${namespaceId(this.namespace)}.table`;
  }

  /** All that the namespace has in the system: its table, what builders left of one, and its semaphores. */
  files(): string[] {
    const id = namespaceId(this.namespace);
    const inFolder = existsSync(TABLE_FOLDER) ? readdirSync(TABLE_FOLDER) : [];
    return [
      ...inFolder.filter((file) => file.startsWith(`${id}.`)).map((file) => `${TABLE_FOLDER}/${file}`),
      ...readdirSync(SHM)
        .filter((file) => file.startsWith(`sem.semlock.${id.slice(0, 8)}`))
        .map((file) => `${SHM}/${file}`),
    ];
  }

  /** The POSIX name of the one semaphore that the namespace has; not when it was removed, and the table alone decides. */
  semaphoreName(): string | undefined {
    const [file] = this.files().filter((path) => path.startsWith(`${SHM}/sem.`));
    return file?.replace(`${SHM}/sem.`, '/');
  }

  /** Ends all processes that still live, in good order. */
  async everybodyLeaves(): Promise<void> {
    for (const each of this.#processes) {
      each.continue();
      await each.exit();
    }
  }
}
