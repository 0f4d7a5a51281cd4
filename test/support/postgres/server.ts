// A PostgreSQL server for a test, in a temporary folder of its own, and a PgBouncer before it. Both refuse to run as root,
// so there they run as the user that Debian makes for the server.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';

import { inject } from 'vitest';

import { freePort } from '../free-port.js';

/** How a server is stopped: as at a restart, or as by a crash. */
export type StopMode = 'fast' | 'immediate';

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;

/** The user that the servers run as; this user, unless root runs the tests. */
export const owner: { readonly uid?: number; readonly gid?: number } =
  process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};

function idOf(option: '-u' | '-g'): number {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
}

function programs(): string {
  const all = '/usr/lib/postgresql';
  const versions = existsSync(all)
    ? readdirSync(all).filter((name) => existsSync(join(all, name, 'bin', 'initdb')))
    : [];
  const [newest] = versions.sort((a, b) => Number(b) - Number(a));
  if (newest === undefined) throw new Error('the tests need the package "postgresql" of Debian');
  return join(all, newest, 'bin');
}

function asOwner(program: string, args: readonly string[], cwd: string): ChildProcess {
  return spawn(program, args, { ...owner, cwd, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Has a folder on a disk of its own, in a namespace of mounts that only what it starts then sees. */
const ON_DISK =
  'mv "$0" "$0.before" && mkdir "$0" && mount -t tmpfs -o "$1" tmpfs "$0" && cp -a "$0.before/." "$0" && shift && exec "$@"';

/** Makes the cluster that the servers of a run are copies of, with a log in short files, which are soon copied; gives its folder. */
export async function makeCluster(): Promise<string> {
  const folder = temporaryFolder('semlock-cluster-');
  const args = ['-D', join(folder, 'data'), '-A', 'trust', '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync'];
  await finished(asOwner(join(programs(), 'initdb'), [...args, '--wal-segsize=1'], folder));
  return folder;
}

export class PostgresServer {
  readonly folder: string;
  readonly port: number;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #disk: string | undefined;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number, settings: Readonly<Record<string, string>>, disk?: string) {
    this.folder = folder;
    this.port = port;
    this.#settings = settings;
    this.#disk = disk;
  }

  /**
   * Starts one with the run's cluster, whose superuser is `postgres`. All copies of a cluster have one identifier, by which
   * processes take them for one server: so no two tests that run at once have a process killed in the same namespace.
   *
   * @param disk - the size of a disk that its tables have to themselves, such as `32m`; for root alone.
   */
  static async start(settings: Readonly<Record<string, string>> = {}, disk?: string): Promise<PostgresServer> {
    const folder = temporaryFolder('semlock-postgres-');
    await finished(asOwner('cp', ['-a', join(inject('postgresCluster'), 'data'), folder], folder));
    const server = new PostgresServer(folder, await freePort(), { fsync: 'off', ...settings }, disk);
    await server.resume();
    return server;
  }

  /** A standby of it, which follows. */
  async standby(): Promise<PostgresServer> {
    const folder = temporaryFolder('semlock-standby-');
    const args = [
      '-D',
      join(folder, 'data'),
      '-h',
      '127.0.0.1',
      '-p',
      String(this.port),
      '-U',
      'postgres',
      '-R',
      '-X',
      'stream',
    ];
    args.push('--no-sync', '-c', 'fast');
    await finished(asOwner(join(programs(), 'pg_basebackup'), args, folder));
    const server = new PostgresServer(folder, await freePort(), this.#settings);
    await server.resume();
    return server;
  }

  url(user = 'postgres', port = this.port): string {
    return `postgres://${user}@127.0.0.1:${port}/postgres`;
  }

  async resume(): Promise<void> {
    const settings = {
      port: this.port,
      listen_addresses: '127.0.0.1',
      unix_socket_directories: this.folder,
      ...this.#settings,
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const log = join(this.folder, 'log');
    const command = [
      'sh',
      '-c',
      'exec "$0" "$@" >>"$LOG" 2>&1',
      join(programs(), 'postgres'),
      '-D',
      this.#data,
      ...args,
    ];
    const { uid, gid } = owner;
    const [program, ...rest] =
      this.#disk === undefined
        ? command
        : [
            'unshare',
            '-m',
            'sh',
            '-c',
            ON_DISK,
            join(this.#data, 'base'),
            `size=${this.#disk},mode=700,uid=${uid},gid=${gid}`,
          ].concat(['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', ...command]);
    const child = spawn(program!, rest, {
      ...(this.#disk === undefined ? owner : {}),
      cwd: this.folder,
      env: { ...process.env, LOG: log },
      stdio: 'ignore',
    });
    this.#process = child;
    const pidFile = join(this.folder, 'data', 'postmaster.pid');
    for (const end = Date.now() + 30_000; ;) {
      await sleep(20);
      if (existsSync(pidFile) && / ?ready/.test(readFileSync(pidFile, 'utf8').split('\n')[7] ?? '')) return;
      if (child.exitCode !== null || Date.now() > end) throw new Error(`no server: ${readFileSync(log, 'utf8')}`);
    }
  }

  get #data(): string {
    return join(this.folder, 'data');
  }

  async promote(): Promise<void> {
    const args = ['promote', '-D', join(this.folder, 'data'), '-w'];
    await finished(asOwner(join(programs(), 'pg_ctl'), args, this.folder));
  }

  async stop(mode: StopMode): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(SIGNALS[mode]);
    await exited;
  }

  /** Ends it, and removes all that it has left. */
  async remove(): Promise<void> {
    await this.stop('immediate');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A PgBouncer that gives its clients a connection for each transaction. */
export class Bouncer {
  readonly port: number;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
  }

  static async start(server: PostgresServer): Promise<Bouncer> {
    const folder = temporaryFolder('semlock-pgbouncer-');
    const port = await freePort();
    const settings = {
      listen_addr: '127.0.0.1',
      listen_port: port,
      unix_socket_dir: '',
      auth_type: 'any',
      pool_mode: 'transaction',
      default_pool_size: 8,
      max_client_conn: 400,
      ignore_startup_parameters: 'extra_float_digits',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
    const database = `postgres = host=127.0.0.1 port=${server.port} dbname=postgres user=postgres`;
    const file = join(folder, CONFIGURATION);
    writeFileSync(file, `[databases]\n${database}\n[pgbouncer]\n${lines.join('\n')}\n`);
    if (owner.uid !== undefined) chownSync(file, owner.uid, owner.gid!);
    const bouncer = new Bouncer(folder, port);
    await bouncer.resume();
    return bouncer;
  }

  async resume(): Promise<void> {
    const args = ['-q', join(this.#folder, CONFIGURATION)];
    const child = spawn('pgbouncer', args, { ...owner, cwd: this.#folder, stdio: 'ignore' });
    this.#process = child;
    for (const end = Date.now() + 10_000; !(await answers(this.port));) {
      await sleep(20);
      if (child.exitCode !== null || Date.now() > end) throw new Error('pgbouncer does not start');
    }
  }

  /** As by a crash. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const CONFIGURATION = 'pgbouncer.ini';

function temporaryFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid!);
  return folder;
}

async function finished(child: ChildProcess): Promise<void> {
  let errors = '';
  child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${child.spawnfile} failed: ${errors}`);
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
