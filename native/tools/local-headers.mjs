// Headers that came with this Node.js spare the download that node-gyp would make.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const prefix = dirname(dirname(process.execPath));

/** The folder to give to node-gyp as `nodedir`, or `undefined` where it has to fetch the headers. */
export const nodeDir = existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : undefined;
