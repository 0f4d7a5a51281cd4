/**
 * The environment of tests that start processes by the thousand. Where NODE_EXTRA_CA_CERTS names a system's certificates,
 * Node.js reads them at each start, which takes twice as long as all the rest of it; no test speaks TLS.
 */
export const QUICK_START = { NODE_EXTRA_CA_CERTS: '' };
