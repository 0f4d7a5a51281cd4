// npm runs `prepare` on what it got from git, once the dependencies are there, and packs the package afterwards: it has
// to be built by then. npm runs it in every other installation of this repository as well, where nobody waits for it;
// only with a dependency it says where that came from.

import { execFileSync } from 'node:child_process';

const { npm_package_resolved: origin, npm_command: command } = process.env;
if (origin !== undefined && command !== 'pack' && command !== 'publish') {
  execFileSync('npm', ['run', 'prepack'], { stdio: 'inherit' });
}
