// A PostgreSQL server for one trial, with the settings that it has by itself: what is answered is on the disk.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';

const START_MS = 15_000;
const ALL = '/usr/lib/postgresql';

/** What clients connect with. */
export function addressOf({ folder }) {
  return { host: folder, user: 'postgres', database: 'postgres' };
}

/** Starts it in the folder of the trial, with the tables that the sides use; gives what stops it. */
export async function startPostgres({ folder }) {
  const owner = process.getuid() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid);
  const options = { ...owner, cwd: folder, stdio: 'ignore' };
  const data = join(folder, 'data');
  execFileSync(program('initdb'), ['-D', data, '-A', 'trust', '-U', 'postgres', '--locale=C', '--no-sync'], options);
  const args = ['-D', data, '-c', 'listen_addresses=', '-c', `unix_socket_directories=${folder}`];
  const server = spawn(program('postgres'), args, options);
  const ended = once(server, 'exit');
  const stop = async () => {
    if (server.exitCode === null) server.kill('SIGQUIT');
    await ended;
  };
  try {
    await makeTables({ folder });
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeTables(place) {
  const { postgresStore } = await import('../../../dist/stores/postgres/index.js');
  const pool = new pg.Pool({ ...addressOf(place), max: 1 });
  pool.on('error', () => undefined);
  for (const end = Date.now() + START_MS; ; await sleep(20)) {
    try {
      await pool.query('CREATE TABLE rows (id int PRIMARY KEY, changes int NOT NULL) WITH (fillfactor = 70)');
      break;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
  await pool.query('INSERT INTO rows VALUES (1, 0), (2, 0)');
  await postgresStore({ pool, listen: false }).migrate();
  await pool.end();
}

function program(name) {
  const versions = existsSync(ALL)
    ? readdirSync(ALL).filter((version) => existsSync(join(ALL, version, 'bin', name)))
    : [];
  const [newest] = versions.toSorted((a, b) => Number(b) - Number(a));
  if (newest === undefined) throw new Error('there is no PostgreSQL on this machine');
  return join(ALL, newest, 'bin', name);
}

function idOf(option) {
  return Number(execFileSync('id', [option, 'postgres'], { encoding: 'utf8' }));
}
