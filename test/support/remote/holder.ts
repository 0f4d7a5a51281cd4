// A process that holds a lock of a server.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

const HOLDER = fileURLToPath(new URL('holder.mjs', import.meta.url));

/** @param atEnd - of the test that it is killed with; where tests run at once, that of their context. */
export async function startHolder(
  store: object,
  namespace: string,
  name: string,
  atEnd: (end: () => Promise<void>) => void = onTestFinished,
): Promise<{
  token: number;
  kill: () => Promise<void>;
  /** Blocks its main thread for so long, and has it give the lock back; says when, and whether it had lost it. */
  block: (ms: number) => Promise<{ lost?: string; releasedAt: number }>;
  /** Has it close its store and client; resolves when it has ended by itself. */
  close: () => Promise<void>;
}> {
  const child = fork(HOLDER, [JSON.stringify(store), namespace, name]);
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  atEnd(kill);
  const failed = exited.then(() => Promise.reject(new Error('the holder ended before it had the lock')));
  failed.catch(() => undefined);
  const [{ token }] = (await Promise.race([once(child, 'message'), failed])) as [{ token: number }];
  const close = async (): Promise<void> => {
    child.send({ do: 'close' });
    await exited;
  };
  const block = async (ms: number): Promise<{ lost?: string; releasedAt: number }> => {
    child.send({ do: 'block', ms });
    const [answer] = (await once(child, 'message')) as [{ lost?: string; releasedAt: number }];
    return answer;
  };
  return { token, kill, block, close };
}
