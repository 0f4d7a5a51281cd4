import * as semlock from 'semlock';

const held = new semlock.Lock('ledger').tryAcquire();
console.log(Object.keys(semlock).sort().join(' '), new semlock.Lock('ledger').tryAcquire() === null, held.release());
