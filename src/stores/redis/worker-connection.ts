// The connection of the worker thread that renews: a small client of the protocol RESP, because the app's own client may
// not be found from there (bundles, pnpm), and has options that cannot be passed to a thread. Its source is evaluated there,
// so nothing outside of the function is used.

import type Crypto from 'node:crypto';
import type Net from 'node:net';
import type Tls from 'node:tls';

import type { Renewal, SessionId } from '../remote/backend.js';
import type { Address } from './clients.js';

export interface WorkerOptions {
  readonly addresses: readonly Address[];
  readonly script: string;
  readonly sha: string;
  /** The key of a namespace is this with the namespace's id in it: see keys.ts. */
  readonly prefix: string;
}

/** As `ConnectBySource` describes it. A renewal that has no answer within `timeoutMs` ends the connection. */
export function connectWorker({ addresses, script, sha, prefix }: WorkerOptions, require: NodeJS.Require) {
  const net = require('node:net') as typeof Net;
  const tls = require('node:tls') as typeof Tls;
  const { createHash } = require('node:crypto') as typeof Crypto;
  type Reply = string | number | null | Error | Reply[];
  type Waiting = { resolve: (reply: Reply) => void; reject: (error: Error) => void };

  /** A connection to one server. In a cluster the keys of namespaces are on several. */
  const open = (address: Address) => {
    let waiting: Waiting[] = [];
    let received = Buffer.alloc(0);
    const { host = '127.0.0.1', port = 6379, path, family, username, password, db, tls: secure } = address;
    const target = path === undefined ? { host, port, ...(family === undefined ? {} : { family }) } : { path };
    const socket =
      secure === undefined
        ? net.connect(target)
        : tls.connect({ ...(net.isIP(host) ? {} : { servername: host }), ...target, ...secure });

    const connection = {
      isOver: false,
      end(error: Error): void {
        connection.isOver = true;
        socket.destroy();
        const failed = waiting;
        waiting = [];
        for (const { reject } of failed) reject(error);
      },
      async send(parts: readonly string[]): Promise<Reply> {
        const text = parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('');
        const reply = await new Promise<Reply>((resolve, reject) => {
          waiting.push({ resolve, reject });
          socket.write(`*${parts.length}\r\n${text}`);
        });
        if (reply instanceof Error) throw reply;
        return reply;
      },
    };

    /** The value at `at` and where it ends; `undefined` when it is not there in full. */
    const parse = (at: number): { value: Reply; next: number } | undefined => {
      const stop = received.indexOf('\r\n', at);
      if (stop < 0) return undefined;
      const line = received.toString('utf8', at + 1, stop);
      const next = stop + 2;
      const kind = String.fromCharCode(received[at]!);
      if (kind === '+') return { value: line, next };
      if (kind === '-') return { value: new Error(line), next };
      if (kind === ':') return { value: Number(line), next };
      const size = Number(line);
      if (size < 0) return { value: null, next };
      if (kind === '$') {
        if (received.length < next + size + 2) return undefined;
        return { value: received.toString('utf8', next, next + size), next: next + size + 2 };
      }
      if (kind !== '*') throw new Error(`an answer of a kind that is not known: ${kind}`);
      const values: Reply[] = [];
      let from = next;
      for (let left = size; left > 0; left -= 1) {
        const item = parse(from);
        if (item === undefined) return undefined;
        values.push(item.value);
        from = item.next;
      }
      return { value: values, next: from };
    };

    socket.setNoDelay(true);
    socket.unref();
    socket.on('error', (error: Error) => connection.end(error));
    socket.on('close', () => connection.end(new Error('the connection was closed')));
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data]);
      try {
        for (let reply = parse(0); reply !== undefined; reply = parse(0)) {
          received = received.subarray(reply.next);
          waiting.shift()?.resolve(reply.value);
        }
      } catch (error) {
        connection.end(error as Error);
      }
    });
    const refused = (error: Error): void => connection.end(error);
    const credentials = username === undefined ? [] : [username];
    if (password !== undefined) connection.send(['AUTH', ...credentials, password]).catch(refused);
    if (db !== undefined && db !== 0) connection.send(['SELECT', String(db)]).catch(refused);
    return connection;
  };

  const connections = new Map<string, ReturnType<typeof open>>();
  /** Where keys are that are not where they were asked for first. */
  const moved = new Map<string, { host: string; port: number }>();
  let turn = 0;

  const connectionFor = (key: string) => {
    const address = { ...addresses[turn % addresses.length]!, ...moved.get(key) };
    const name = `${address.path ?? address.host ?? ''}:${address.port ?? ''}`;
    const known = connections.get(name);
    if (known !== undefined && !known.isOver) return known;
    const connection = open(address);
    connections.set(name, connection);
    return connection;
  };

  const call = async (key: string, args: readonly string[]): Promise<Reply> => {
    for (let tries = 0; ; tries += 1) {
      const connection = connectionFor(key);
      try {
        try {
          return await connection.send(['EVALSHA', sha, '1', key, ...args]);
        } catch (error) {
          if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
          return await connection.send(['EVAL', script, '1', key, ...args]);
        }
      } catch (error) {
        const elsewhere = /^MOVED \d+ (.*):(\d+)$/.exec((error as Error).message);
        if (elsewhere === null || tries > 4) throw error;
        const { host = '127.0.0.1' } = addresses[turn % addresses.length]!;
        moved.set(key, { host: elsewhere[1] === '' ? host : elsewhere[1]!, port: Number(elsewhere[2]) });
      }
    }
  };

  return {
    async renew({ namespace, sid }: SessionId, leaseMs: number, acknowledged: readonly number[]): Promise<Renewal> {
      const id = createHash('sha256').update(Buffer.from(namespace, 'utf16le')).digest('base64url').slice(0, 22);
      const key = `${prefix}:{${id}}`;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${leaseMs / 3} ms`)), leaseMs / 3);
      });
      try {
        const answer = call(key, ['renew', sid, String(leaseMs), ...acknowledged.map(String)]);
        const reply = await Promise.race([answer, late]);
        if (!Array.isArray(reply) || reply[0] !== 'alive') return { alive: false };
        return {
          alive: true,
          held: Number(reply[1]),
          incarnation: String(reply[2]),
          stolen: (reply[3] as number[]).map(Number),
        };
      } catch (error) {
        // Whatever it answers now belongs to nothing that is waited for.
        connectionFor(key).end(error as Error);
        moved.delete(key);
        turn += 1;
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    close(): Promise<void> {
      for (const connection of connections.values()) connection.end(new Error('it was closed'));
      return Promise.resolve();
    },
  };
}
