// How notices are heard: by one connection that listens, and another one when that breaks. Each connection is a client of
// its own, which never connects again by itself: so it can be ended at any moment, for good, and keeps no process alive.

import type { Socket } from 'node:net';

import { SemlockError } from '../../errors.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import { Sockets, type PostgresJsOptions } from './sockets.js';

/** One connection. */
interface Ear {
  /** Connects, and listens. Rejects where notices do not come by that way. */
  listen(channel: string): Promise<void>;
  /** At once, whatever state it is in. */
  end(): void;
}

/** `lost` is called when the connection has ended. */
export type MakeEar = (tell: (payload: string) => void, lost: () => void) => Ear;

/** How soon another connection is made, and how long that may take. */
const [FIRST_RETRY_MS, LAST_RETRY_MS, CONNECT_MS] = [100, 5_000, 5_000];

/**
 * Listens until the function that it gives is called. `heard` is called with whether that works, each time it changes.
 *
 * @throws rejects if the first connection fails.
 */
export async function keepListening(
  make: MakeEar,
  channel: string,
  tell: (payload: string) => void,
  heard: (works: boolean) => void,
): Promise<() => void> {
  let current: Ear | undefined;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;

  const open = async (): Promise<void> => {
    let works = false;
    const mine = make(tell, () => {
      if (current !== mine) return;
      current = undefined;
      mine.end();
      if (!works) return; // the code that waits for it hears of that below
      heard(false);
      again(FIRST_RETRY_MS);
    });
    current = mine;
    try {
      await inTime(mine.listen(channel));
      if (current !== mine) throw new SemlockError('ERR_SEMLOCK_STORE', 'the connection for notices has ended');
    } catch (error) {
      if (current === mine) current = undefined;
      mine.end();
      throw error;
    }
    works = true;
    heard(true);
  };
  const again = (ms: number): void => {
    if (ended) return;
    timer = setTimeout(() => {
      open().catch(() => again(Math.min(ms * 2, LAST_RETRY_MS)));
    }, ms).unref();
  };

  await open();
  return () => {
    ended = true;
    clearTimeout(timer);
    const last = current;
    current = undefined;
    last?.end();
  };
}

/** A server that is not there any more may leave a client without an answer forever. */
async function inTime(done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((_, reject) => {
    const error = new SemlockError('ERR_SEMLOCK_STORE', `no connection for notices within ${CONNECT_MS} ms`);
    timer = setTimeout(() => reject(error), CONNECT_MS);
  });
  try {
    await Promise.race([done, late]);
  } finally {
    clearTimeout(timer);
    done.catch(() => undefined);
  }
}

/** @throws {@link SemlockError} A pooler tells its clients another number, and forgets what it is asked to listen to. */
function checkIsDirect(pid: unknown, told: unknown): void {
  if (pid === told) return;
  throw new SemlockError('ERR_SEMLOCK_STORE', 'notices do not come through a pooler of transactions');
}

const PID = 'SELECT pg_backend_pid() AS pid';

/** A client of `pg`, as far as it is used here. */
export interface PgDriverClient {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  end(): Promise<unknown>;
  on(event: string, listener: (argument: never) => void): unknown;
  readonly processID: number | null;
  readonly connection?: { readonly stream?: Socket };
}

export type PgClientClass = new (config: object) => PgDriverClient;

export function earOfPg(ClientClass: PgClientClass, config: object): MakeEar {
  return (tell, lost) => {
    const client = new ClientClass(config);
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', ({ payload = '' }: { payload?: string }) => tell(payload));
    return {
      async listen(channel) {
        await client.connect();
        client.connection?.stream?.unref();
        const { rows } = (await client.query(PID)) as { rows: { pid: number }[] };
        checkIsDirect(rows[0]?.pid, client.processID);
        await client.query(`LISTEN "${channel}"`);
      },
      end() {
        void client.end().catch(() => undefined);
        client.connection?.stream?.destroy();
      },
    };
  };
}

/** The function that postgres.js is. */
export type Postgres = (options: object) => {
  unsafe(text: string): { simple(): PromiseLike<unknown> };
  end(options: { timeout: number }): Promise<void>;
};

/** By a `sql` for each connection: what one has itself for notices cannot be ended at any moment. */
export function earOfPostgresJs(postgres: Postgres, options: PostgresJsOptions): MakeEar {
  let turn = 0;
  return (tell, lost) => {
    const at = turn++ % Math.max(options.host.length, 1);
    const sockets = new Sockets(options.socket);
    const sql = postgres({
      ...options,
      host: options.host.slice(at, at + 1),
      port: options.port.slice(at, at + 1),
      max: 1,
      idle_timeout: null,
      max_lifetime: null,
      fetch_types: false, // where the connection ends meanwhile, nothing catches that
      socket: sockets.socket,
      onnotify: (_channel: string, payload: string) => tell(payload),
      onclose: lost,
    });
    return {
      async listen(channel) {
        const answer = (await sql.unsafe(PID).simple()) as { pid: string }[] & { state?: { pid: number } };
        sockets.unref();
        checkIsDirect(Number(answer[0]?.pid), answer.state?.pid);
        await sql.unsafe(`LISTEN "${channel}"`).simple();
      },
      end() {
        void sql.end({ timeout: 0 });
        sockets.end();
      },
    };
  };
}
