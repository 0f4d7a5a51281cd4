// The page needs nothing but its own files, and its requests get what it draws.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { ROUTES } from '../../../example-app/public/routes.js';
import { scratchNamespace } from '../../support/shm.js';
import { startExample, stopExample, until, type Answer, type Example } from './example-process.js';

function begun({ text }: Answer): number {
  return (JSON.parse(text) as { from: number }).from;
}

describe('the page', () => {
  let example: Example;
  const namespace = scratchNamespace();
  beforeAll(async () => {
    example = await startExample({ SEMLOCK_NAMESPACE: namespace });
  });
  afterAll(() => stopExample(example));

  it.each([
    ['/', 'text/html'],
    ['/page.js', 'text/javascript'],
    ['/timeline.js', 'text/javascript'],
    ['/routes.js', 'text/javascript'],
    ['/style.css', 'text/css'],
    ['/icon.svg', 'image/svg+xml'],
  ])('is served with %s as %s', async (path, type) => {
    const answer = await example.whenFree(path);

    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toContain(type);
  });

  it('loads nothing from elsewhere', async () => {
    const { text } = await example.whenFree('/');
    const linked = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]!);

    expect(linked.length).toBeGreaterThan(0);
    for (const link of linked) expect((await example.whenFree(`/${link}`)).status).toBe(200);
  });

  it('offers each of its routes', async () => {
    const { text } = await example.whenFree('/');
    const offered = [...text.matchAll(/<option value="([a-z]+)"/g)].map((match) => match[1]);

    expect(offered).toEqual(Object.keys(ROUTES));
  });

  it('learns which lock is on', async () => {
    const { text } = await example.whenFree('/status');

    expect(JSON.parse(text)).toEqual({ lock: 'process', workers: 4, unanswered: [] });
  });

  it.each(Object.values(ROUTES).flatMap(({ documents }) => documents))(
    'clears %s, appends, and learns who worked when and whether the file is whole',
    async (path) => {
      expect((await example.whenFree(path, { method: 'DELETE' })).status).toBe(204);
      const appended = await example.whenFree(`${path}?ms=20`, { method: 'POST', body: 'request 1' });
      const { worker, from, to } = JSON.parse(appended.text);
      const verdict = JSON.parse((await example.whenFree(`${path}/check`)).text);

      expect(String(worker)).toBe(appended.worker);
      expect(Number(appended.headers.get('x-arrived'))).toBeLessThanOrEqual(from);
      expect(to - from).toBeGreaterThanOrEqual(20);
      expect(verdict).toMatchObject({ ok: true, lines: 1, appended: 1 });
    },
  );

  it('sees which worker works on a request, and which one waits, before they are answered', async () => {
    const send = (request: string) =>
      example.whenFree('/turns?ms=1000', { method: 'POST', body: request, headers: { 'X-Request': request } });
    const answers = [send('1'), send('2')];
    const states: string[] = [];
    await until(async () => {
      const { text } = await example.whenFree('/status');
      const { unanswered } = JSON.parse(text) as { unanswered: { worker: number; arrived: number; from?: number }[] };
      states.splice(0, Infinity, ...unanswered.map(({ worker, from }) => `${worker} ${from ? 'works' : 'waits'}`));
      return states.length === 2 && states.some((state) => state.endsWith('works'));
    }, 'one request works and one waits');

    const [first, second] = (await Promise.all(answers)).sort((a, b) => begun(a) - begun(b));
    expect([first!.status, second!.status]).toEqual([200, 200]);
    expect(states.toSorted()).toEqual([`${first!.worker} works`, `${second!.worker} waits`].toSorted());
    expect(JSON.parse((await example.whenFree('/status')).text)).toMatchObject({ unanswered: [] });
  });

  it('gets a new connection for each request, so that its requests reach different workers', async () => {
    const { headers } = await example.whenFree('/status');

    expect(headers.get('connection')).toBe('close');
  });
});
