// A lock that is held by the caller's own transaction, until that ends: so lock and data go together, whatever becomes of
// this process, and no fencing is needed. It and ordinary holders exclude each other.
//
// A transaction that finds the lock free has it by one statement. One that has to wait stands in line as everybody does,
// by a request of this process; when that has the lock, it is handed over to the transaction. While it stands there it tries
// within the transaction, too: where all connections of a pool are in such waits, none is left for the line.

import { SemlockError } from '../../errors.js';
import { checkLockName } from '../../names.js';
import { defaultNamespace } from '../../namespace.js';
import { integer, oneOf, optionParser, text } from '../../options.js';
import type { Grant, LockId, LockMode, LockStore } from '../../store.js';
import { clearTimeout, now, setTimeout } from '../../timers.js';
import { storeFailure } from '../remote/failure.js';
import type { RemotePermit } from '../remote/session.js';
import { callOf } from './backend.js';
import { transactionClient, type Client } from './client.js';
import { DEADLOCK, explained, isTransient, sqlState } from './errors.js';
import { keyOf } from './names.js';

/** Options of {@link PostgresStore.lockInTransaction}. */
export interface LockInTransactionOptions {
  /** `'shared'`: together with other readers, but with no exclusive holder. Default `'exclusive'`. */
  mode?: LockMode;
  /** How long to wait at most, in milliseconds; 0 is a try. Default: for as long as it takes. */
  waitMs?: number;
  /** The namespace of the lock. Default: that of this app, as for all locks. */
  namespace?: string;
}

const parse = optionParser<LockInTransactionOptions>()({
  mode: oneOf<LockMode>(['exclusive', 'shared'], 'exclusive'),
  waitMs: integer(0, 2 ** 31 - 1),
  namespace: text(),
});

/** How long one statement waits for calls that have the gate for a moment. */
const [TRY_MS, HAND_OVER_MS] = [20, 1_000];

/** How often a wait is tried without the line. */
const TRY_EVERY_MS = 250;

/** Tries of a wait that is longer than this stay at the gate for long enough that the server finds a deadlock; and how much longer. */
const [PATIENCE_MS, MORE_MS] = [1_000, 500];

type Attempt = 'held' | 'busy' | 'ask' | 'permits';

export async function lockInTransaction(
  schema: string,
  store: LockStore,
  client: unknown,
  name: string,
  options: LockInTransactionOptions | undefined,
): Promise<void> {
  const transaction = transactionClient(client);
  checkLockName('lockInTransaction()', name);
  const { mode, waitMs, namespace = defaultNamespace() } = parse('lockInTransaction()', options);
  const id: LockId = { namespace, name, permits: 1, keyed: true };
  const begun = now();
  const end = waitMs === undefined ? Infinity : begun + waitMs;
  let deadlockMs: Promise<number> | undefined;

  const attempt = (grant?: Grant, timeoutMs = grant === undefined ? TRY_MS : HAND_OVER_MS): Promise<Attempt> => {
    const permit = grant?.id as RemotePermit | undefined;
    const mine = [permit?.session.id.sid ?? '', permit?.request ?? 0] as const;
    const call = callOf(schema, 'hold', [keyOf(schema, id), mode === 'shared', ...mine, timeoutMs]);
    return hold(transaction, call, schema, name);
  };
  const isHeld = (answer: Attempt): boolean => {
    if (answer !== 'permits') return answer === 'held';
    const message = `others use the lock "${name}" as a semaphore, which a transaction cannot hold`;
    throw new SemlockError('ERR_SEMLOCK_MISMATCH', message, { lockName: name });
  };

  const first = await attempt();
  if (isHeld(first)) return;
  const tooLate = (): SemlockError => {
    const message = `the lock "${name}" was not free within ${waitMs} ms`;
    return new SemlockError('ERR_SEMLOCK_TIMEOUT', message, { lockName: name });
  };
  if (waitMs === 0 && first === 'busy') throw tooLate();

  const again = async (): Promise<Attempt> => {
    if (now() - begun < PATIENCE_MS) return attempt();
    const ms = await (deadlockMs ??= msUntilDeadlock(transaction));
    return attempt(undefined, Math.max(TRY_MS, Math.min(ms, Math.ceil(end - now()))));
  };
  const lock = store.open(id);
  do {
    const grant = await lineOrTry(
      (signal) =>
        lock.acquire({
          mode,
          signal,
          ...(waitMs === undefined ? {} : { waitMs: Math.max(0, Math.ceil(end - now())) }),
        }),
      async () => waitMs !== 0 && isHeld(await again()),
    );
    if (grant === 'held') return;
    if (grant === null) break;
    let held: boolean;
    try {
      held = isHeld(await attempt(grant));
    } finally {
      // The next holder is told what this one was: the transaction is no holder that the server knows.
      await lock.release(grant, true);
    }
    if (held) return;
  } while (now() < end);
  throw tooLate();
}

/** What comes first: a grant, or the end of the wait, by the line; or that a try has it. */
async function lineOrTry(
  line: (signal: AbortSignal) => Promise<Grant | null>,
  tried: () => Promise<boolean>,
): Promise<Grant | null | 'held'> {
  const controller = new AbortController();
  const standing = line(controller.signal);
  standing.catch(() => undefined);
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<'try'>((resolve) => (timer = setTimeout(() => resolve('try'), TRY_EVERY_MS)));
      const outcome = await Promise.race([standing, pause]);
      clearTimeout(timer);
      if (outcome !== 'try') return outcome;
      if (await tried()) return 'held';
    }
  } finally {
    controller.abort();
  }
}

/** How long a statement has to wait until the server has found that it waits in a circle; 0 where it would be cancelled by then. */
async function msUntilDeadlock(transaction: Pick<Client, 'run'>): Promise<number> {
  const [rows] = await transaction.run(
    `SELECT setting FROM pg_catalog.pg_settings WHERE name IN ('deadlock_timeout', 'statement_timeout') ORDER BY name`,
  );
  const [deadlock, statement] = rows!.map(({ setting }) => Number(setting)) as [number, number];
  const ms = deadlock + MORE_MS;
  return statement > 0 && statement <= ms ? 0 : ms;
}

/** One try, after which the transaction goes on whatever comes of it. */
async function hold(
  transaction: Pick<Client, 'run'>,
  call: string,
  schema: string,
  lockName: string,
): Promise<Attempt> {
  try {
    const rows = await transaction.run(`SAVEPOINT semlock; ${call}; RELEASE SAVEPOINT semlock`);
    return JSON.parse(rows[1]![0]!['answer'] as string) as Attempt;
  } catch (error) {
    if (sqlState(error) === '25P01') {
      const message = `lockInTransaction(): the client has no transaction open, so the lock "${lockName}" would be free at once`;
      throw new SemlockError('ERR_SEMLOCK_STORE', message, { lockName, cause: error });
    }
    await transaction.run('ROLLBACK TO SAVEPOINT semlock; RELEASE SAVEPOINT semlock').catch(() => undefined);
    if (isTransient(error) && sqlState(error) !== DEADLOCK) return 'busy';
    throw storeFailure('postgres', 'lock within the transaction', explained(error, schema), lockName);
  }
}
