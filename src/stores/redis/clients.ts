// The clients that a store can use: those of ioredis, iovalkey and node-redis, known by what they can do, so that semlock
// depends on none of them; and any other through a small adapter.

import { describe, SemlockError } from '../../errors.js';
import { SCRIPT, SHA } from './script.js';

/** What the store needs of a client that it does not know, such as GLIDE. */
export interface RedisAdapter {
  /** Runs `EVAL script 1 key ...args`, and gives what the server answers. It may run `EVALSHA` first. */
  eval(script: string, key: string, args: readonly string[]): Promise<unknown>;
  /** Calls `listener` with each message of a channel, until the function that it returns is called. */
  subscribe(channel: string, listener: (message: string) => void): Promise<() => unknown>;
}

/** A client of ioredis or iovalkey, as far as it is used. */
export interface IoRedisLike {
  readonly options: object;
  readonly status: string;
  evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>;
  duplicate(...args: never[]): unknown;
}

/** A client of node-redis (the package `redis`), as far as it is used. */
export interface NodeRedisLike {
  readonly isOpen: boolean;
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  duplicate(...args: never[]): unknown;
}

export type RedisClient = IoRedisLike | NodeRedisLike | RedisAdapter;

/** Where a connection of our own can be made to. It can be cloned. */
export interface Address {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly family?: number;
  readonly username?: string;
  readonly password?: string;
  readonly db?: number;
  /** Options of `tls.connect`. */
  readonly tls?: object;
}

/** A server, through whatever client. */
export interface RedisConnection {
  /** What the client puts before every key. */
  readonly keyPrefix: string;
  /** Where a connection of our own goes; none where that cannot be known, or needs what cannot be cloned. */
  readonly addresses: readonly Address[];
  run(key: string, args: string[]): Promise<unknown>;
  subscribe(channel: string, listener: (message: string) => void): Promise<() => unknown>;
  /** `WAIT`: how many replicas have what was written by {@link run} before. */
  wait?(replicas: number, timeoutMs: number): Promise<number>;
  /** Closes what was opened beside the client. */
  close(): Promise<void>;
}

/** @throws {@link SemlockError} `ERR_SEMLOCK_OPTION` if it is no client that semlock knows. */
export function connectionOf(client: unknown, replicas: boolean): RedisConnection {
  const { evalsha, evalSha, eval: run, duplicate, subscribe } = Object(client) as Record<string, unknown>;
  const can = (...methods: unknown[]) => methods.every((method) => typeof method === 'function');
  if (can(evalsha, run, duplicate)) return new IoRedisConnection(client as IoRedis, replicas);
  if (can(evalSha, run, duplicate)) return new NodeRedisConnection(client as NodeRedis, replicas);
  if (can(run, subscribe)) return new AdapterConnection(client as RedisAdapter);
  const accepts = 'a client of ioredis, iovalkey or node-redis, { url } or an adapter { eval, subscribe }';
  throw new SemlockError(
    'ERR_SEMLOCK_OPTION',
    `redisStore(): option "client" must be ${accepts}, but ${describe(client)} was given`,
  );
}

interface IoRedis extends IoRedisLike {
  readonly isCluster?: boolean;
  nodes?(role: 'master'): IoRedis[];
  readonly stream?: { unref?(): void };
  duplicate(...args: object[]): IoRedis;
  call(command: string, ...args: string[]): Promise<unknown>;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  disconnect(): void;
}

class IoRedisConnection implements RedisConnection {
  readonly keyPrefix: string;
  readonly #client: IoRedis;
  readonly #own: IoRedis[] = [];
  readonly #channels = new Channels();
  #subscriber: IoRedis | undefined;
  wait?: (replicas: number, timeoutMs: number) => Promise<number>;

  constructor(client: IoRedis, replicas: boolean) {
    const options = client.options as Record<string, unknown>;
    this.keyPrefix = textOf(options['keyPrefix']);
    this.#client = client;
    if (!replicas) return;
    if (client.isCluster === true) throw noReplicas();
    // WAIT holds up whatever comes behind it, so it gets a connection of its own.
    const own = this.#duplicate({ lazyConnect: true, enableOfflineQueue: true });
    this.#client = own;
    this.wait = async (count, ms) => Number(await own.call('WAIT', String(count), String(ms)));
  }

  /** Of a cluster those of its nodes, each of which knows where a key is. */
  get addresses(): Address[] {
    const nodes = this.#client.nodes?.('master') ?? [this.#client];
    const found = nodes.map(({ options }) => addressOfIoRedis(options as Record<string, unknown>));
    return found.filter((address) => address !== undefined);
  }

  async run(key: string, args: string[]): Promise<unknown> {
    try {
      return await this.#client.evalsha(SHA, 1, key, ...args);
    } catch (error) {
      if (!isNoScript(error)) throw error;
      return this.#client.eval(SCRIPT, 1, key, ...args);
    }
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<() => unknown> {
    const subscriber = (this.#subscriber ??= this.#subscribe());
    return this.#channels.add(channel, listener, subscriber);
  }

  close(): Promise<void> {
    for (const client of this.#own) client.disconnect();
    return Promise.resolve();
  }

  /** It asks for its channels forever, even if the app's client gives commands up that are not answered. */
  #subscribe(): IoRedis {
    const more = { maxRetriesPerRequest: null, enableOfflineQueue: true, lazyConnect: false };
    const subscriber = this.#duplicate(...(this.#client.isCluster === true ? [] : [more]));
    subscriber.on('message', (channel: string, message: string) => this.#channels.tell(channel, message));
    return subscriber;
  }

  /** It says nothing of errors (commands do), and does not keep the process running. */
  #duplicate(...more: object[]): IoRedis {
    const client = this.#client.duplicate(...more);
    client.on('error', () => undefined);
    client.on('connect', () => client.stream?.unref?.());
    this.#own.push(client);
    return client;
  }
}

interface NodeRedis extends NodeRedisLike {
  readonly options?: Record<string, unknown>;
  readonly masters?: unknown;
  duplicate(): NodeRedis;
  withTypeMapping?(mapping: object): NodeRedis;
  connect(): Promise<unknown>;
  sendCommand(args: string[]): Promise<unknown>;
  subscribe(channel: string, listener: (message: string, channel: string) => void): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  unref?(): void;
  destroy?(): void;
  disconnect?(): unknown;
}

class NodeRedisConnection implements RedisConnection {
  readonly keyPrefix: string;
  readonly addresses: readonly Address[];
  readonly #client: NodeRedis;
  readonly #own: NodeRedis[] = [];
  readonly #channels = new Channels();
  #subscriber: Promise<NodeRedis> | undefined;
  #waiter: Promise<NodeRedis> | undefined;
  wait?: (replicas: number, timeoutMs: number) => Promise<number>;

  constructor(client: NodeRedis, replicas: boolean) {
    const options = client.options ?? {};
    const isCluster = client.masters !== undefined;
    this.keyPrefix = textOf(options['keyPrefix']);
    const address = isCluster ? undefined : addressOfNodeRedis(options);
    this.addresses = address === undefined ? [] : [address];
    this.#client = client.withTypeMapping?.({}) ?? client; // whatever the app has answers made into
    if (!replicas) return;
    if (isCluster) throw noReplicas();
    this.wait = async (count, ms) =>
      Number(await (await this.#waits()).sendCommand(['WAIT', String(count), String(ms)]));
  }

  async run(key: string, args: string[]): Promise<unknown> {
    const client = this.wait === undefined ? this.#client : await this.#waits();
    const options = { keys: [key], arguments: args };
    try {
      return await client.evalSha(SHA, options);
    } catch (error) {
      if (!isNoScript(error)) throw error;
      return client.eval(SCRIPT, options);
    }
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<() => unknown> {
    const subscriber = await (this.#subscriber ??= this.#duplicate(() => (this.#subscriber = undefined)));
    return this.#channels.add(channel, listener, {
      subscribe: (name) => subscriber.subscribe(name, (message) => this.#channels.tell(name, message)),
      unsubscribe: (name) => subscriber.unsubscribe(name),
    });
  }

  close(): Promise<void> {
    for (const client of this.#own) {
      if (!client.isOpen) continue;
      if (client.destroy !== undefined) client.destroy();
      else void client.disconnect?.();
    }
    return Promise.resolve();
  }

  #waits(): Promise<NodeRedis> {
    return (this.#waiter ??= this.#duplicate(() => (this.#waiter = undefined)));
  }

  /** @param failed - called when it could not connect, so that the next call makes another one. */
  async #duplicate(failed: () => void): Promise<NodeRedis> {
    const client = this.#client.duplicate();
    client.on('error', () => undefined); // commands tell of it; without a listener it would be thrown
    this.#own.push(client);
    try {
      await client.connect();
    } catch (error) {
      this.#own.splice(this.#own.indexOf(client), 1);
      failed();
      throw error;
    }
    client.unref?.();
    return client;
  }
}

class AdapterConnection implements RedisConnection {
  readonly keyPrefix = '';
  readonly addresses = [];
  readonly #adapter: RedisAdapter;

  constructor(adapter: RedisAdapter) {
    this.#adapter = adapter;
  }

  run(key: string, args: string[]): Promise<unknown> {
    return this.#adapter.eval(SCRIPT, key, args);
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<() => unknown> {
    return this.#adapter.subscribe(channel, listener);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface Subscriber {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
}

interface Channel {
  readonly listeners: Set<(message: string) => void>;
  readonly subscribed: Promise<unknown>;
}

/** The listeners to each channel of one subscriber. */
class Channels {
  readonly #channels = new Map<string, Channel>();

  tell(name: string, message: string): void {
    for (const listener of this.#channels.get(name)?.listeners ?? []) listener(message);
  }

  async add(name: string, listener: (message: string) => void, subscriber: Subscriber): Promise<() => unknown> {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = { listeners: new Set(), subscribed: subscriber.subscribe(name) };
      this.#channels.set(name, channel);
    }
    const { listeners, subscribed } = channel;
    listeners.add(listener);
    try {
      await subscribed;
    } catch (error) {
      if (this.#channels.get(name) === channel) this.#channels.delete(name); // the next one asks anew
      throw error;
    }
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0 || this.#channels.get(name) !== channel) return;
      this.#channels.delete(name);
      subscriber.unsubscribe(name).catch(() => undefined); // the connection is gone, and the channel with it
    };
  }
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT');
}

function noReplicas(): SemlockError {
  const message =
    'redisStore(): option "syncReplicas" is for one server with replicas; a cluster has no WAIT for all keys';
  return new SemlockError('ERR_SEMLOCK_OPTION', message);
}

function addressOfIoRedis(options: Record<string, unknown>): Address | undefined {
  const { host, port, path, family, username, password, db, tls, sentinels, Connector } = options;
  // A client with sentinels, or with a way of its own to connect, may go to another server at any time.
  if (Connector !== undefined || (Array.isArray(sentinels) && sentinels.length > 0)) return undefined;
  return cloneable({ host, port, path, family, username, password, db, tls });
}

function addressOfNodeRedis({
  url,
  socket,
  username,
  password,
  database,
  credentialsProvider,
}: Record<string, unknown>) {
  if (credentialsProvider !== undefined && password === undefined) return undefined; // it would have to be asked
  const { host, port, path, family, tls, ...more } = (socket ?? {}) as Record<string, unknown>;
  const fromUrl = typeof url === 'string' ? addressOfUrl(url) : {};
  return cloneable({
    host,
    port,
    path,
    family,
    username,
    password,
    db: database,
    ...fromUrl,
    ...(tls === true ? { tls: withoutReconnecting(more) } : {}),
  });
}

/** `redis[s]://[[username][:password]@][host][:port][/db]`. */
export function addressOfUrl(url: string): Address {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const db = Number(pathname.slice(1));
  return {
    ...(hostname === '' ? {} : { host: hostname.replace(/^\[|\]$/g, '') }),
    ...(port === '' ? {} : { port: Number(port) }),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(Number.isInteger(db) && db > 0 ? { db } : {}),
    ...(/^(rediss|valkeys):$/.test(protocol) ? { tls: {} } : {}),
  };
}

/** What concerns reconnecting is the client's own. What concerns trust must be kept, so that cannot be left out. */
function withoutReconnecting(options: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(options).filter(([key]) => key !== 'reconnectStrategy'));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function cloneable(address: Record<string, unknown>): Address | undefined {
  try {
    return structuredClone(Object.fromEntries(Object.entries(address).filter(([, value]) => value != null)));
  } catch {
    return undefined; // such as a function that checks certificates
  }
}
