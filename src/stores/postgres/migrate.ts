// Brings the schema to the version that this semlock works with.

import { literal } from './names.js';
import type { Client } from './client.js';
import { mayNotMigrate, sqlState, wrongVersion } from './errors.js';
import { migration, quoted, SCHEMA_VERSION } from './schema.js';

/** @throws rejects with {@link SemlockError} `ERR_SEMLOCK_STORE`, or with what the client says. */
export async function migrate(client: Pick<Client, 'run'>, schema: string): Promise<void> {
  const found = await versionOf(client, schema);
  if (found === SCHEMA_VERSION) return;
  if (found > SCHEMA_VERSION) throw wrongVersion(schema, found);
  try {
    await client.run(migration(schema));
  } catch (error) {
    if (sqlState(error) !== '42501') throw error;
    const [rows] = await client.run('SELECT current_user::text AS role');
    throw mayNotMigrate(error as Error, schema, rows![0]!['role'] as string);
  }
}

/** 0 where it is not there. */
async function versionOf(client: Pick<Client, 'run'>, schema: string): Promise<number> {
  const table = literal(`${quoted(schema)}.state`);
  const [there] = await client.run(`SELECT (to_regclass(${table}) IS NOT NULL)::text AS there`);
  if (there![0]!['there'] !== 'true') return 0;
  const [rows] = await client.run(`SELECT version FROM ${quoted(schema)}.state`);
  return Number(rows![0]!['version']);
}
