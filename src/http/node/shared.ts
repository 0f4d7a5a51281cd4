// What all copies of this package in one process share: a project and a package that it links, or a module before and
// after a hot reload, meet in one request, which must not block itself.

/** The number grows when what is shared changes its shape. */
const SHARED = Symbol.for('semlock.http.1');

interface Shared {
  /** The exchanges that hold locks, by their requests. */
  readonly exchanges: WeakMap<object, unknown>;
  /** What holds back the end of answers, by connections. */
  readonly gates: WeakMap<object, unknown>;
  /** The servers that are watched. */
  readonly servers: WeakSet<object>;
  /** One of them is closing all its connections at this moment. */
  closingAll: boolean;
}

const scope = globalThis as { [SHARED]?: Shared };

export const shared: Shared = (scope[SHARED] ??= {
  exchanges: new WeakMap(),
  gates: new WeakMap(),
  servers: new WeakSet(),
  closingAll: false,
});
