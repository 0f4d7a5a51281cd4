// Requests are told of under the names that Node.js has for those of its own Web Locks.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';

import { expect, it, onTestFinished } from 'vitest';

import type { RequestMessage } from '../../../src/observe/channels.js';
import { memoryStore } from '../../../src/stores/memory/memory-store.js';
import { createLocks } from '../../../src/web-locks/lock-manager.js';

const locks = createLocks({ namespace: 'test', store: memoryStore() });

function observe(): string[] {
  const told: string[] = [];
  for (const event of ['start', 'grant', 'miss', 'end']) {
    const listener = (message: unknown) => {
      const { name, mode, error } = message as RequestMessage;
      told.push([event, name, mode, ...(error instanceof Error ? [error.name] : [])].join(' '));
    };
    subscribe(`locks.request.${event}`, listener);
    onTestFinished(() => void unsubscribe(`locks.request.${event}`, listener));
  }
  return told;
}

it('a request tells of its start, its grant and its end', async () => {
  const told = observe();
  await locks.request('file', { mode: 'shared' }, () => told.push('work'));
  expect(told).toEqual(['start file shared', 'grant file shared', 'work', 'end file shared']);
});

it('one that finds the lock taken, and one that fails or is robbed, tell that', async () => {
  await locks.request('file', async () => {
    const told = observe();
    expect(await locks.request('file', { ifAvailable: true }, (none) => none)).toBeNull();
    expect(told).toEqual(['start file exclusive', 'miss file exclusive', 'end file exclusive']);
  });
  const told = observe();
  const failing = locks.request('file', () => Promise.reject(new RangeError('failed')));
  await expect(failing).rejects.toBeInstanceOf(RangeError);
  expect(told).toEqual(['start file exclusive', 'grant file exclusive', 'end file exclusive RangeError']);

  told.length = 0;
  const robbed = locks.request('file', async ({ signal }) => {
    const stolen = new Promise((resolve) => signal.addEventListener('abort', resolve));
    void locks.request('file', { steal: true }, () => undefined);
    await stolen;
  });
  await expect(robbed).rejects.toMatchObject({ name: 'AbortError' });
  expect(told).toContain('end file exclusive AbortError');
});
