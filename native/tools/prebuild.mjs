// Puts a binary of the addon for this platform and libc into prebuilds/. The package carries such binaries because npm
// does not run install scripts of dependencies: whoever installs it needs no compiler.

import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import prebuildify from 'prebuildify';

import { nodeDir } from './local-headers.mjs';

// The one way to give node-gyp, which prebuildify starts, an option that prebuildify does not have.
if (nodeDir !== undefined) process.env.npm_config_nodedir = nodeDir;

await promisify(prebuildify)({
  cwd: fileURLToPath(new URL('../..', import.meta.url)),
  targets: [process.versions.node],
  napi: true,
  strip: true,
  // One package carries the binaries for glibc and for musl side by side.
  tagLibc: true,
  quiet: true,
});
