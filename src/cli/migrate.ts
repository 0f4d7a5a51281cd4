// semlock migrate: makes the schema in which locks of a PostgreSQL database live, or brings it to the version of this semlock.

import { postgresStore } from '../stores/postgres/postgres-store.js';
import { print } from './output.js';
import { printable } from './text.js';
import { HELP, MIGRATE_OPTIONS, parseArguments, UsageError } from './usage.js';

export async function migrate(args: string[]): Promise<number> {
  const { values } = parseArguments({ args, options: MIGRATE_OPTIONS });
  if (values.help === true) {
    print(HELP);
    return 0;
  }
  const { store: url = '', schema = 'semlock' } = values;
  if (!/^postgres(ql)?:/i.test(url)) {
    throw new UsageError(`migrate: --store must be a URL of a PostgreSQL database; not '${printable(url)}'`);
  }
  const store = postgresStore({ connectionString: url, schema });
  try {
    await store.migrate();
  } finally {
    await store.close();
  }
  print(`The schema ${printable(schema)} is up to date\n`);
  return 0;
}
