// The schema in which locks live, and how it comes from one version to the next. What is made of these steps is a script
// for the server, which goes by the version that it finds there: so it can be run at any time, by any number of processes
// at once, and by hand, where this process is not allowed to.

import { functions } from './functions.js';

/** The version that this semlock works with. A change of the functions is a new version, too. */
export const SCHEMA_VERSION = 3;

/** A name as SQL wants it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function inLiteral(text: string): string {
  return text.replaceAll("'", "''");
}

/** What leads to each version from the one before. */
const steps: ((s: string) => string)[] = [
  (s) => `
-- One row, for all that is common to the locks.
CREATE TABLE ${s}.state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  version int NOT NULL,
  running text NOT NULL DEFAULT '',
  incarnation text NOT NULL DEFAULT '',
  longest_lease interval NOT NULL DEFAULT '15 s',
  -- No token of a lock that was removed is larger.
  token_floor bigint NOT NULL DEFAULT 0
);
INSERT INTO ${s}.state (version) VALUES (1);

-- Namespaces, or all of them (''), in which nothing is granted until then.
CREATE TABLE ${s}.quiet (space bytea PRIMARY KEY, until timestamptz NOT NULL);

-- A process in a namespace. All that it has and waits for hangs on the one row that it renews.
CREATE TABLE ${s}.sessions (
  sid text PRIMARY KEY,
  expires timestamptz NOT NULL,
  ended text CHECK (ended IN ('released', 'died')),
  channel text
);

CREATE TABLE ${s}.locks (
  key bytea PRIMARY KEY,
  space bytea NOT NULL,
  namespace text NOT NULL,
  name text NOT NULL,
  permits int NOT NULL,
  last_token bigint NOT NULL,
  abandoned boolean NOT NULL DEFAULT false,
  used timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE ${s}.requests (
  sid text NOT NULL,
  request bigint NOT NULL,
  key bytea NOT NULL,
  state text NOT NULL CHECK (state IN ('held', 'waiting', 'stolen', 'over')),
  shared boolean NOT NULL,
  place bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  token bigint,
  abandoned boolean NOT NULL DEFAULT false,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (sid, request)
);
CREATE INDEX requests_of_lock ON ${s}.requests (key) WHERE state IN ('held', 'waiting');
`,
  // Rows that are changed thousands of times a second: room for their next versions on the same page, and no wait for a
  // share of a table that is large for a moment only.
  (s) =>
    ['sessions', 'locks', 'requests']
      .map(
        (table) => `
ALTER TABLE ${s}.${table} SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);`,
      )
      .join(''),
  // Other functions.
  () => '',
];

/**
 * The script that makes the schema of that name, or brings it to a version.
 *
 * @param role - the role that may use it then, besides the one that runs the script.
 */
export function migration(schema: string, version = SCHEMA_VERSION, role?: string): string {
  const s = quoted(schema);
  const literal = `'${inLiteral(schema)}'`;
  const stateTable = `'${inLiteral(s)}.state'`;
  const made = functions(s);
  const [, ...all] = made.split(`CREATE FUNCTION ${s}.`);
  const names = all.map((each) => `'${/^\w+/.exec(each)![0]}'`);
  const upgrades = steps.slice(0, version).map(
    (step, index) => `
  IF found < ${index + 1} THEN
    EXECUTE $step$${step(s)}$step$;
  END IF;`,
  );
  return `DO $semlock$
DECLARE
  found int := 0;
  f regprocedure;
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('semlock migration of ' || ${literal}, 0));
  IF pg_catalog.to_regnamespace('${inLiteral(s)}') IS NULL THEN
    EXECUTE 'CREATE SCHEMA ${inLiteral(s)}';
  ELSIF pg_catalog.to_regclass(${stateTable}) IS NOT NULL THEN
    SELECT version INTO found FROM ${s}.state;
  END IF;
  IF found >= ${version} THEN RETURN; END IF;
${upgrades.join('')}
  UPDATE ${s}.state SET version = ${version};
  FOR f IN
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname = ${literal} AND p.proname IN (${names.join(', ')})
  LOOP
    EXECUTE 'DROP FUNCTION ' || f;
  END LOOP;
  EXECUTE $functions$${made}$functions$;
  UPDATE ${s}.state SET running = ${s}.running(), incarnation = ${s}.incarnation() WHERE incarnation = '';
END $semlock$;
${role === undefined ? '' : grants(s, role)}`;
}

function grants(s: string, role: string): string {
  return `GRANT USAGE ON SCHEMA ${s} TO ${quoted(role)};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${s} TO ${quoted(role)};
`;
}
