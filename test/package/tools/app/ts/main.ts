import { fileLock, Lock, type Held } from 'semlock';
import { locked } from 'semlock/fetch';

async function main(): Promise<string> {
  const lock: Lock = new Lock(`ledger of ${process.pid}`);
  const first: Held = lock.tryAcquire()!;
  setTimeout(() => first.release(), 10);
  const second = await lock.acquire({ timeoutMs: 10_000 });
  return `works ${typeof fileLock()} ${second.token > first.token} ${second.release()} ${typeof locked}`;
}

void main().then((result) => console.log(result));
