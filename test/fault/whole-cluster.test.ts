// A whole cluster dies at once and comes back: nothing is lost, and nothing piles up.

import { statSync } from 'node:fs';

import { afterAll, expect, it } from 'vitest';

import { endSpareProcesses, Room } from './support/room.js';

const ROUNDS = 50;
const WORKERS = 3;

afterAll(endSpareProcesses);

it(`gives every lock to the first who asks, in ${ROUNDS} rounds of killing all processes at once`, async () => {
  const room = new Room();
  const locks = [1, 3].flatMap((permits) =>
    [true, false].map((named) => ({ namespace: room.namespace, name: `${permits} ${named}`, permits, named })),
  );
  let files: string[] = [];
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const workers = Array.from({ length: WORKERS }, () => room.process());
    // The first one of the round gets all, then dies with it in hand, together with two that are busy trying.
    for (const lock of locks) {
      const grants = await workers[0]!.take(lock, lock.permits);
      expect(grants[0]!.abandoned, 'the previous round died with it').toBe(round > 0);
      expect(await workers[1]!.tryAcquire(lock)).toBeNull();
    }
    const trying = workers.slice(1).map((worker) => worker.call('tryInTurns', locks[0], 10_000).catch(() => {}));
    await Promise.all([...trying, ...workers.map((worker) => worker.kill())]);

    const now = { files: room.files(), bytes: statSync(room.tablePath).blocks * 512 };
    if (round === 0) ({ files, bytes } = now);
    expect(now, `after round ${round}`).toEqual({ files, bytes });
  }

  const last = room.process();
  for (const lock of locks) expect(await last.count(lock)).toBe(lock.permits);
  expect(await last.query(room.namespace)).toEqual([]);
  await last.exit();
  expect(room.files()).toEqual([]);
}, 120_000);
