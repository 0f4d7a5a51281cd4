// A set-up file for tests of apps: `setupFiles: ['semlock/testing']` in Vitest and Jest. Test files that run side by side, and a
// development server beside them, would share the locks of the app; each worker of the test runner gets locks of its own.
// Programs that a test starts inherit them.

const { VITEST_POOL_ID, JEST_WORKER_ID } = process.env;
process.env['SEMLOCK_NAMESPACE'] = `test ${process.pid} ${VITEST_POOL_ID ?? JEST_WORKER_ID ?? '0'}`;

export {};
