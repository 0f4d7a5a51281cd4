// A /dev/shm that only some processes see, to be filled up, spoiled and taken away. Only root can make one: it is a
// mount namespace of its own.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

import { onTestFinished } from 'vitest';

import { namespaceId } from '../../../src/names.js';
import { LockProcess } from './lock-process.js';

/** Devices that every program needs, where /dev itself is replaced. */
const WITHOUT_SHM = [
  'mount -t tmpfs none /mnt',
  'mkdir /mnt/dev',
  'mount --rbind /dev /mnt/dev',
  'mount -t tmpfs none /dev',
  'for device in null zero random urandom; do touch /dev/$device; mount --bind /mnt/dev/$device /dev/$device; done',
].join(' && ');

export class PrivateShm {
  /** The same folder for the test itself, which does not live there. */
  readonly path: string;
  readonly #keeper: ChildProcess;
  readonly #processes: LockProcess[] = [];

  private constructor(keeper: ChildProcess) {
    this.#keeper = keeper;
    this.path = `/proc/${keeper.pid!}/root/dev/shm`;
    onTestFinished(async () => {
      await Promise.all(this.#processes.map((each) => each.kill()));
      keeper.stdin!.end();
      await once(keeper, 'exit');
    });
  }

  /** Mounts one with the options of a tmpfs. */
  static mount(options = 'size=64m'): Promise<PrivateShm> {
    return PrivateShm.#keep(`mount -t tmpfs -o mode=1777,${options} none /dev/shm`);
  }

  /** A world without /dev/shm. */
  static none(): Promise<PrivateShm> {
    return PrivateShm.#keep(WITHOUT_SHM);
  }

  static async #keep(mount: string): Promise<PrivateShm> {
    // `cat` keeps the namespace until its input ends, and with the parent it always does.
    const keeper = spawn('unshare', ['--mount', 'sh', '-c', `${mount} && echo mounted && exec cat`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [said] = (await Promise.race([once(keeper.stdout, 'data'), once(keeper, 'exit')])) as unknown[];
    if (String(said) !== 'mounted\n') throw new Error('cannot mount a /dev/shm of its own; this needs root');
    return new PrivateShm(keeper);
  }

  /** A command line that runs the rest of its arguments where this /dev/shm is. */
  get through(): [string, ...string[]] {
    return ['nsenter', '--mount', '--target', String(this.#keeper.pid), '--'];
  }

  /** The same for another user, who is in the group of that number, and in others where they are given. */
  throughAs(user: number, group = user, others: readonly number[] = []): [string, ...string[]] {
    const groups = others.length === 0 ? '--clear-groups' : `--groups=${others.join(',')}`;
    return [...this.through, 'setpriv', `--reuid=${user}`, `--regid=${group}`, groups];
  }

  /** A process that has this /dev/shm. */
  process(through = this.through): LockProcess {
    const process = LockProcess.start({ through });
    this.#processes.push(process);
    return process;
  }

  get folder(): string {
    return this.folderOf(process.geteuid!());
  }

  folderOf(user: number): string {
    return `${this.path}/semlock-${user}`;
  }

  tableOf(namespace: string): string {
    return `${this.folder}/${namespaceId(namespace)}.table`;
  }
}
