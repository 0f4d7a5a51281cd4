// Takes a lock of a server, says so, and holds it until it is told to close, it is killed, or its parent goes away. Told to
// block, it does nothing for a while with the lock in hand, and gives it back.

import { Lock } from 'semlock';

import { makeStore } from './make-store.mjs';

const [how, namespace, name] = process.argv.slice(2);
const { store, close } = await makeStore(JSON.parse(how));
const hold = await new Lock(name, { namespace, store }).acquire();
const gone = () => process.exit();
process.on('disconnect', gone);
process.on('message', async (message) => {
  if (message.do === 'block') {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, message.ms);
    const [lost, releasedAt] = [hold.lost?.code, Number(process.hrtime.bigint()) / 1e6];
    await hold[Symbol.asyncDispose]();
    process.send({ lost, releasedAt });
    return;
  }
  process.off('disconnect', gone);
  await store.close();
  await close();
  process.disconnect();
});
process.send({ token: hold.token });
