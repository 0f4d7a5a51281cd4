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

  let turn = 0;
  let socket: Net.Socket | undefined;
  let waiting: Waiting[] = [];
  let received = Buffer.alloc(0);
  let moved: { host: string; port: number } | undefined;

  const end = (error: Error): void => {
    const failed = waiting;
    waiting = [];
    socket?.destroy();
    socket = undefined;
    for (const { reject } of failed) reject(error);
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

  const connect = (): void => {
    const {
      host = '127.0.0.1',
      port = 6379,
      path,
      family,
      username,
      password,
      db,
      tls: secure,
    } = addresses[turn % addresses.length]!;
    const where = { host, port, ...(family === undefined ? {} : { family }), ...moved };
    const target = path === undefined || moved !== undefined ? where : { path };
    const mine =
      secure === undefined
        ? net.connect(target)
        : tls.connect({ ...(net.isIP(where.host) ? {} : { servername: where.host }), ...target, ...secure });
    socket = mine;
    received = Buffer.alloc(0);
    mine.setNoDelay(true);
    mine.unref();
    mine.on('error', (error: Error) => socket === mine && end(error));
    mine.on('close', () => socket === mine && end(new Error('the connection was closed')));
    mine.on('data', (data) => {
      if (socket !== mine) return;
      received = Buffer.concat([received, data]);
      try {
        for (let reply = parse(0); reply !== undefined; reply = parse(0)) {
          received = received.subarray(reply.next);
          waiting.shift()?.resolve(reply.value);
        }
      } catch (error) {
        end(error as Error);
      }
    });
    const refused = (error: Error): void => {
      if (socket === mine) end(error);
    };
    if (password !== undefined)
      send(username === undefined ? ['AUTH', password] : ['AUTH', username, password]).catch(refused);
    if (db !== undefined && db !== 0) send(['SELECT', String(db)]).catch(refused);
  };

  const send = async (parts: readonly string[]): Promise<Reply> => {
    const text = parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('');
    const reply = await new Promise<Reply>((resolve, reject) => {
      waiting.push({ resolve, reject });
      socket?.write(`*${parts.length}\r\n${text}`);
    });
    if (reply instanceof Error) throw reply;
    return reply;
  };

  const call = async (key: string, args: readonly string[]): Promise<Reply> => {
    for (let tries = 0; ; tries += 1) {
      if (socket === undefined) connect();
      try {
        try {
          return await send(['EVALSHA', sha, '1', key, ...args]);
        } catch (error) {
          if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
          return await send(['EVAL', script, '1', key, ...args]);
        }
      } catch (error) {
        const elsewhere = /^MOVED \d+ (.*):(\d+)$/.exec((error as Error).message);
        if (elsewhere === null || tries > 4) throw error;
        const { host = '127.0.0.1' } = addresses[turn % addresses.length]!;
        moved = { host: elsewhere[1] === '' ? host : elsewhere[1]!, port: Number(elsewhere[2]) };
        end(error as Error);
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
        moved = undefined;
        turn += 1;
        end(error as Error); // whatever comes now belongs to nothing that is waited for
        throw error;
      } finally {
        clearTimeout(timer);
      }
    },
    close(): Promise<void> {
      end(new Error('it was closed'));
      return Promise.resolve();
    },
  };
}
