// Takes a lock of a server, says so, and holds it until it is told to close, it is killed, or its parent goes away.

import { Lock } from 'semlock';

import { makeStore } from './make-store.mjs';

const [how, namespace, name] = process.argv.slice(2);
const { store, close } = await makeStore(JSON.parse(how));
const hold = await new Lock(name, { namespace, store }).acquire();
const gone = () => process.exit();
process.on('disconnect', gone);
process.once('message', async () => {
  process.off('disconnect', gone);
  await store.close();
  await close();
  process.disconnect();
});
process.send({ token: hold.token });
