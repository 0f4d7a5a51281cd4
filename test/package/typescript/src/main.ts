import { fileLock, Lock, SemlockError, type SemlockErrorCode } from 'semlock';

const lock = new Lock('ledger');
const late: SemlockErrorCode = 'ERR_SEMLOCK_TIMEOUT';
// @ts-expect-error -- The types reach the consumer, so that a mistake is one.
const wrong: SemlockErrorCode = 'ERR_OTHER';

// Without the types of Express, a request is what the callback says of it.
fileLock({ name: (req) => req.params.name });

const held = lock.tryAcquire();
const code = await lock.run(() => wrong, { timeoutMs: 0 }).catch((error: unknown) => (error as SemlockError).code);
console.log('typescript', typeof fileLock(), held?.name, code === late, held?.release());
