// Asked for a lock's name, tries it as any other process would, gives it back, and answers whether it was held.

import { Lock } from '../../dist/index.js';

const [namespace] = process.argv.slice(2);

process.on('message', ({ id, name }) => {
  const mine = new Lock(name, { namespace }).tryAcquire();
  mine?.release();
  process.send({ id, held: mine === null });
});
process.on('disconnect', () => process.exit());
process.send('ready');
