const { fileLock, Lock } = require('semlock');

const held = new Lock('ledger').tryAcquire();
const refused = new Lock('ledger').tryAcquire() === null;
console.log('require', typeof fileLock(), held?.name, refused, held?.release());
