// As on another platform: imports, then uses a lock in memory and one of the machine.
Object.defineProperty(process, 'platform', { value: process.argv[2] });
const { Lock, memoryStore } = await import('semlock');

console.log('memory', new Lock('ledger', { store: memoryStore() }).tryAcquire().release());
try {
  new Lock('ledger').tryAcquire();
} catch ({ code, message }) {
  console.log(code, message);
}
