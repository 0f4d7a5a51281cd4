// Takes a lock, and keeps it until the test file in the other worker has taken it too.
const { existsSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { setTimeout } = require('node:timers/promises');

const { Lock } = require('semlock');

exports.meet = async (me, other) => {
  const held = new Lock('of the app').tryAcquire();
  if (held === null) {
    writeFileSync(join(process.env.MEETING, me), '');
    throw new Error('collides with the other worker');
  }
  writeFileSync(join(process.env.MEETING, me), '');
  while (!existsSync(join(process.env.MEETING, other))) await setTimeout(20);
  held.release();
};
