// How the renewing thread reaches the server: by one connection of its own. The source of the function is evaluated there,
// so nothing outside of it is used.

import type { Renewal, SessionId } from '../remote/backend.js';
import type { WorkerOptions } from './client.js';

/** What the thread is given. */
export interface RenewerOptions extends WorkerOptions {
  /** The name of the function of the server, with its schema. */
  readonly renew: string;
}

interface Connection {
  run(statement: string): Promise<{ answer: string }[]>;
  close(): Promise<void>;
}

/** See {@link ConnectBySource}. */
export function connectRenewer(options: RenewerOptions, require: NodeJS.Require) {
  const { createRequire } = require('node:module') as { createRequire: (from: string) => NodeJS.Require };

  const load = (): unknown => {
    let failure: unknown;
    for (const from of options.from) {
      try {
        return createRequire(from)(options.driver);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };
  const driver = load();

  const byPg = (): Connection => {
    const { Pool } = driver as { Pool: new (config: object) => Pool };
    const pool = new Pool({ ...(options.config as object), max: 1, application_name: 'semlock renewal' });
    pool.on('error', () => undefined); // of an idle connection: the next statement has another
    return { run: async (statement) => (await pool.query(statement)).rows, close: () => pool.end() };
  };
  interface Pool {
    query(text: string): Promise<{ rows: { answer: string }[] }>;
    on(event: 'error', listener: () => void): void;
    end(): Promise<void>;
  }

  const byPostgresJs = (): Connection => {
    const sql = (driver as (config: object) => Sql)({
      ...(options.config as object),
      max: 1,
      onnotice: () => undefined,
      fetch_types: false, // where the connection ends meanwhile, nothing catches that
      connection: { application_name: 'semlock renewal' },
    });
    return { run: (statement) => sql.unsafe(statement).simple(), close: () => sql.end() };
  };
  interface Sql {
    unsafe(text: string): { simple(): Promise<{ answer: string }[]> };
    end(): Promise<void>;
  }

  const connection = options.driver === 'pg' ? byPg() : byPostgresJs();
  return {
    async renew({ sid }: SessionId, leaseMs: number, acknowledged: readonly number[]): Promise<Renewal> {
      const values = `'${sid}', ${leaseMs}, '{${acknowledged.join(',')}}'`;
      const rows = await connection.run(`SELECT ${options.renew}(${values})::text AS answer`);
      return JSON.parse(rows[0]!.answer) as Renewal;
    },
    close: () => connection.close(),
  };
}
