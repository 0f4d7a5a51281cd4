// Short blocks of requests to one server, whose side is drawn by lot; what they cost is the processor time of this process.
// The connections are streams of this process, so that the kernel's part, which is the same for all and varies most, is
// left out. Each block begins after a collection and pays for one itself, so that no side pays for what another has left.
// In Express all sides are routers of one app, as they are in a server: each further app slows down all of them.

import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import express from 'express';

import { fileLock, Lock } from '../../../dist/index.js';
import { inTrial, shuffled } from '../harness/in-trial.mjs';
import { percentile } from '../harness/statistics.mjs';

const CONNECTIONS = 8;
const RESAMPLES = 200;
const REQUEST = Buffer.from('GET /files/1 HTTP/1.1\r\nHost: test\r\n\r\n');

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const handle = (_req, res) => res.end('ok');
const middlewares = {
  none: () => undefined,
  empty: () => (_req, _res, next) => next(),
  pair: (namespace) => {
    const lock = new Lock('pair', { namespace });
    return (_req, _res, next) => {
      const held = lock.tryAcquire();
      next();
      held.release();
    };
  },
  free: (namespace) => fileLock('free', { namespace }),
};

const frameworks = {
  express(all) {
    const app = express();
    const routers = all.map((middleware) => {
      const router = express.Router();
      if (middleware !== undefined) router.use(middleware);
      return router.get('/files/:name', handle);
    });
    let router;
    Object.defineProperty(app, 'router', { get: () => router });
    return { listener: app, choose: (side) => void (router = routers[side]) };
  },
  http(all) {
    const handlers = all.map((middleware) => {
      if (middleware === undefined) return handle;
      return (req, res) =>
        middleware(req, res, (error) => {
          if (error !== undefined) throw error;
          return handle(req, res);
        });
    });
    let handler;
    return { listener: (req, res) => handler(req, res), choose: (side) => void (handler = handlers[side]) };
  },
};

/** A connection whose client sends the next request when it has an answer, as long as there is one to send. */
class Connection extends Duplex {
  constructor(answered) {
    super();
    this.answered = answered;
  }
  send() {
    this.push(REQUEST);
  }
  _read() {}
  _write(_chunk, _encoding, done) {
    process.nextTick(done);
    this.answered(this);
  }
  _writev(_chunks, done) {
    this._write(undefined, undefined, done);
  }
}

await inTrial(async ({ framework, sides, place, block, warmUpRounds, rounds }) => {
  const { listener, choose } = frameworks[framework](sides.map(({ lock }) => middlewares[lock](place.namespace)));
  const server = createServer({ keepAliveTimeout: 0 }, listener);
  let [unsent, unanswered, done] = [0, 0];
  const answered = (connection) => {
    unanswered -= 1;
    if (unanswered === 0) done();
    if (unsent === 0) return;
    unsent -= 1;
    setImmediate(() => connection.send());
  };
  const connections = Array.from({ length: CONNECTIONS }, () => new Connection(answered));
  for (const connection of connections) server.emit('connection', connection);

  /** Nanoseconds of a request. */
  const measure = async (side) => {
    choose(side);
    [unsent, unanswered] = [block - CONNECTIONS, block];
    collect({ type: 'minor' });
    const start = process.cpuUsage();
    await new Promise((resolve) => {
      done = resolve;
      for (const connection of connections) connection.send();
    });
    collect({ type: 'minor' });
    const { user, system } = process.cpuUsage(start);
    return ((user + system) * 1e3) / block;
  };

  const indices = sides.map((_side, index) => index);
  const costs = sides.map(() => []);
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    for (const side of shuffled(indices)) {
      const cost = await measure(side);
      if (round >= warmUpRounds) costs[side].push(cost);
    }
  }
  return Object.fromEntries(
    sides.map(({ name }, side) => {
      const added = costs[side].map((cost, round) => cost - costs[0][round]);
      return [
        name,
        {
          cpuNs: middle(costs[side]),
          addedNs: middle(added),
          addedPercent: (middle(added) / middle(costs[0])) * 100,
          doubtNs: doubt(added),
        },
      ];
    }),
  );
});

/** The mean of the middle half: what else runs on the machine moves the others. */
function middle(values) {
  const sorted = values.toSorted((one, other) => one - other);
  const half = sorted.slice(sorted.length >> 2, sorted.length - (sorted.length >> 2));
  return half.reduce((sum, value) => sum + value) / half.length;
}

/** Half of the interval that has that mean with 95 %, by drawing the rounds anew (bootstrap). */
function doubt(values) {
  const means = Array.from({ length: RESAMPLES }, () =>
    middle(values.map(() => values[Math.floor(Math.random() * values.length)])),
  );
  return (percentile(means, 0.975) - percentile(means, 0.025)) / 2;
}
