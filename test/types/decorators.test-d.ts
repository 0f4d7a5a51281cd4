import type { IncomingMessage, ServerResponse } from 'node:http';

import { FileLocked, Locked } from 'semlock';

// Compiled in both flavours of decorators. A line that must be refused is one that `@ts-expect-error` stands above.

export class Accounts {
  readonly bank = 'north';

  @Locked('rewrite')
  async rewrite(): Promise<void> {}

  @Locked('rewrite', { namespace: 'bank', permits: 2, posixName: '/rewrite' })
  static async rewrite(_year: number): Promise<string> {
    return Promise.resolve('');
  }

  @Locked('generic')
  async generic<T>(result: T): Promise<T> {
    return Promise.resolve(result);
  }

  overloaded(id: string): Promise<string>;
  overloaded(id: number): Promise<number>;
  @Locked('overloaded')
  overloaded(id: string | number): Promise<string | number> {
    return Promise.resolve(id);
  }

  @Locked((id: string) => `account:${id}`)
  async deposit(_id: string, _amount: number): Promise<void> {}

  @Locked(function (this: Accounts, id: string) {
    return `${this.bank}:${id}`;
  })
  async withdraw(_id: string, _amount: number): Promise<void> {}

  @FileLocked()
  @FileLocked('file')
  @FileLocked({ name: (req) => req.params['name'] as string, status: 423 })
  @FileLocked((req: IncomingMessage) => req.url ?? '', { permits: 2 })
  handle(_req: IncomingMessage, res: ServerResponse): void {
    res.end();
  }

  @FileLocked({ name: async () => Promise.resolve('later') })
  static async handle(res: ServerResponse): Promise<ServerResponse> {
    return Promise.resolve(res.end());
  }

  // @ts-expect-error -- A method that gives no promise would give one, unknown to its callers.
  @Locked('sync')
  sync(): string {
    return '';
  }

  // @ts-expect-error -- The work of a generator begins when the call is over.
  @Locked('generator')
  async *generator(): AsyncGenerator<number> {
    yield await Promise.resolve(1);
  }

  // @ts-expect-error -- The name is made from a number, and the method takes a string.
  @Locked((id: number) => `account:${id}`)
  async wrongParameter(_id: string): Promise<void> {}

  // @ts-expect-error -- The name is made from something that is not in this class.
  @Locked(function (this: { branch: string }) {
    return this.branch;
  })
  async wrongThis(): Promise<void> {}

  // @ts-expect-error -- There is no such mode.
  @Locked('reads', { mode: 'read' })
  async reads(): Promise<void> {}

  // @ts-expect-error -- An accessor is not a method.
  @FileLocked()
  get size(): number {
    return 1;
  }

  // @ts-expect-error -- A field is not a method.
  @FileLocked()
  field = 1;
}

// @ts-expect-error -- A class is not a method.
@FileLocked()
export class Controller {}
