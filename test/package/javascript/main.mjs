import { fileLock, Lock } from 'semlock';

const held = new Lock('ledger').tryAcquire();
const refused = new Lock('ledger').tryAcquire() === null;
console.log('import', typeof fileLock(), held?.name, refused, held?.release());
