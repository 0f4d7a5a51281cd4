// Takes a lock of a server, says so, and holds it until it is killed or its parent goes away.

import { Lock } from 'semlock';

import { makeStore } from './make-store.mjs';

const [how, namespace, name] = process.argv.slice(2);
const { store } = await makeStore(JSON.parse(how));
const hold = await new Lock(name, { namespace, store }).acquire();
process.on('disconnect', () => process.exit());
process.send({ token: hold.token });
