import { fileLock, Lock, SemlockError, type SemlockErrorCode } from 'semlock';

const lock: Lock = new Lock('ledger');
const code: SemlockErrorCode = 'ERR_SEMLOCK_BUSY';
// @ts-expect-error -- The types reach the consumer, so that a mistake is one.
const wrong: SemlockErrorCode = 'ERR_OTHER';

{
  using held = lock.tryAcquire();
  const refused = await lock.run(() => 'ran').catch((error: unknown) => (error as SemlockError).code);
  console.log(held?.name, typeof held?.token, refused === code, typeof fileLock(), wrong);
}
