import { fileLock, Lock, memoryStore, SemlockError, type SemlockErrorCode } from 'semlock';
import { testStore } from 'semlock/conformance';
import { locked } from 'semlock/fetch';
import { fileLock as honoLock } from 'semlock/hono';
import { fileLock as koaLock } from 'semlock/koa';
import { guard, postgresStore, type PostgresStoreOptions } from 'semlock/postgres';
import { redisStore, type RedisStoreOptions } from 'semlock/redis';
import { tusLocker } from 'semlock/tus';

const late: SemlockErrorCode = 'ERR_SEMLOCK_TIMEOUT';
// @ts-expect-error -- The types reach the consumer, so that a mistake is one.
const wrong: SemlockErrorCode = 'ERR_OTHER';
// @ts-expect-error -- So do those of options.
const options: PostgresStoreOptions & RedisStoreOptions = { leaseMs: '15 s' };

export const token: number | undefined = new Lock('ledger', { store: memoryStore() }).tryAcquire()?.token;
export const all = [late, wrong, SemlockError, fileLock(), testStore, locked, honoLock(), koaLock(), tusLocker()];
export const stores = [options, guard, postgresStore, redisStore];
