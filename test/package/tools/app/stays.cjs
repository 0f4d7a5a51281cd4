// Holds the lock LOCK, briefly or until standard input ends, and adds a line to the file LOG for each thing that happens.

const { appendFileSync } = require('node:fs');
const { Lock } = require('semlock');

const { LOCK, LOG, BRIEFLY } = process.env;
const say = (line) => appendFileSync(LOG, `${line}\n`);

async function main() {
  const lock = new Lock(LOCK);
  if (lock.tryAcquire()?.release() === undefined) say('busy');
  const held = await lock.acquire();
  say('held');
  if (BRIEFLY !== undefined) held.release();
  else process.stdin.on('end', () => held.release()).resume();
}
main();
