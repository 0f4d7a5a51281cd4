const { fileLock, Lock } = require('semlock');
const { locked } = require('semlock/fetch');

async function main() {
  const lock = new Lock(`ledger of ${process.pid}`);
  const first = lock.tryAcquire();
  setTimeout(() => first.release(), 10);
  const second = await lock.acquire({ timeoutMs: 10_000 });
  return `works ${typeof fileLock()} ${second.token > first.token} ${second.release()} ${typeof locked}`;
}
main().then(console.log);
