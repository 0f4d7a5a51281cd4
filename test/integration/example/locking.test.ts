// The example does what its welcome and its page promise: with a shared lock one worker at a time has the file, and
// without one the file shows it.

import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { scratchNamespace } from '../../support/shm.js';
import { startExample, stopExample, until, type Answer, type Example } from './example-process.js';

const POST = { method: 'POST' };
const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort();
const busyOnes = (answers: Answer[]) => answers.filter(({ status }) => status === 503);

describe('with LOCK=process', () => {
  let example: Example;
  const namespace = scratchNamespace();
  beforeAll(async () => {
    example = await startExample({ SEMLOCK_NAMESPACE: namespace });
  });
  afterAll(() => stopExample(example));

  describe.each(['/journal', '/ledger', '/files/one.txt', '/report'])('%s', (path) => {
    it('answers one of four requests at once with 200 and tells three that it is busy', async () => {
      const answers = await example.atOnce(4, `${path}?ms=500`, POST);

      expect(statuses(answers)).toEqual([200, 503, 503, 503]);
      expect(busyOnes(answers).map(({ text }) => text)).toEqual(['busy', 'busy', 'busy']);
      expect(new Set(answers.map(({ worker }) => worker)).size).toBe(4);
    });

    it('is free afterwards, and the file is whole', async () => {
      await example.whenFree(path, { method: 'DELETE' });
      const answers = await example.atOnce(4, `${path}?ms=100`, POST);
      const appended = await example.whenFree(path, POST);
      const verdict = await example.whenFree(`${path}/check`);
      // One of the four, as a rule; on a machine with other work a late one may find it free again.
      const lines = statuses(answers).filter((status) => status === 200).length + 1;

      expect(appended.status).toBe(200);
      expect(JSON.parse(verdict.text)).toMatchObject({ ok: true, lines, appended: lines, problems: [] });
    });
  });

  it('says busy within 50 ms of arrival', async () => {
    const busy: Answer[] = [];
    for (let round = 0; round < 5; round++) {
      await example.whenFree('/journal/check');
      busy.push(...busyOnes(await example.atOnce(4, '/journal?ms=200', POST)));
    }

    const times = busy.map(({ afterMs }) => afterMs).sort((a, b) => a - b);
    expect(busy.length).toBeGreaterThanOrEqual(10);
    // The median: on a machine with other work one of them may be late through no fault of the lock.
    expect(times[times.length >> 1]).toBeLessThan(50);
  });

  it('keeps readers out while a text is half written', async () => {
    const writing = example.whenFree('/ledger?ms=600', POST);
    await until(async () => (await example.atOnce(1, '/ledger'))[0]!.status === 503, 'the reader is told busy');

    expect((await writing).status).toBe(200);
  });

  it('lets workers process different files at once', async () => {
    const answers = await example.atOnce(2, (index) => `/files/${'ab'[index]}.txt?ms=300`, POST);

    expect(statuses(answers)).toEqual([200, 200]);
  });

  it('takes an upload and derives the files from it anew', async () => {
    const uploaded = await example.whenFree('/files/two.txt', { method: 'PUT', body: 'first\nsecond – ünï\n' });
    const text = await example.whenFree('/files/two.txt');
    const verdict = await example.whenFree('/files/two.txt/check');

    expect(uploaded.status).toBe(200);
    expect(text.text).toBe('first\nsecond – ünï\n');
    expect(JSON.parse(verdict.text)).toMatchObject({ ok: true, lines: 2 });
  });

  it.each(['/files/..%2Fjournal', '/files/%2E%2E', '/files/.hidden', '/files/a%00b', `/files/${'a'.repeat(65)}`])(
    'refuses %s as a file name, and takes no lock for it',
    async (path) => {
      await pause(200); // until what the others have logged has come through
      const before = example.output().length;
      const log = () => example.output().slice(before).trim().split('\n');

      // Not fetch(), which would resolve the dots before the server sees them.
      expect(await statusOf(example.url, 'PUT', path)).toBe(400);
      // What was logged before the next lock that somebody takes is all that this request has done.
      const { worker } = await example.whenFree('/files/next.txt', POST);
      await until(() => log().includes(`${worker} unlock`), 'the next lock is logged');
      expect(log().filter((line) => / lock$/.test(line))).toEqual([`${worker} lock`]);
    },
  );

  it.each(['-1', '1.5', '10001', 'soon', ''])('refuses ms=%s and gives the lock back', async (ms) => {
    expect((await example.whenFree(`/journal?ms=${ms}`, POST)).status).toBe(400);
    expect((await example.whenFree('/journal/check')).status).toBe(200);
  });

  it('logs who locks, who unlocks and who cannot', async () => {
    await example.whenFree('/report/check');
    const before = example.output().length;
    const answers = await example.atOnce(2, '/report?ms=200', POST);
    const winner = answers.find(({ status }) => status === 200)!.worker;
    const loser = answers.find(({ status }) => status === 503)!.worker;

    const log = () => example.output().slice(before).trim().split('\n');
    await until(() => log().includes(`${winner} unlock`), 'the winner unlocks');
    expect(log()).toEqual(expect.arrayContaining([`${winner} lock`, `${loser} cannot acquire at the moment`]));
    expect(log().at(-1)).toBe(`${winner} unlock`);
  });
});

describe.each(['thread', 'none'])('with LOCK=%s', (lock) => {
  let example: Example;
  const namespace = scratchNamespace();
  beforeAll(async () => {
    example = await startExample({ LOCK: lock, SEMLOCK_NAMESPACE: namespace });
  });
  afterAll(() => stopExample(example));

  it.each(['/journal', '/ledger', '/files/one.txt', '/report'])(
    'answers all four requests to %s with 200, and the file has lost lines',
    async (path) => {
      const answers = await example.atOnce(4, `${path}?ms=500`, POST);
      const verdict = JSON.parse((await example.whenFree(`${path}/check`)).text);

      expect(statuses(answers)).toEqual([200, 200, 200, 200]);
      expect(verdict).toMatchObject({ ok: false, appended: 4 });
      expect(verdict.lines).toBeLessThan(4);
      expect(verdict.problems).toContain(`${4 - verdict.lines} of 4 appended lines are lost`);
    },
  );
});

function statusOf(url: string, method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { method, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}
