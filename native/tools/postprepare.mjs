// npm packs what it got from git, and installs that: the package has to be built by then. In the clone npm runs all scripts
// of an installation before it packs. It is this one and not `prepare`, which does the same, because npm warns of a package
// that has that one, or an install script, each time somebody installs it from a file. npm also runs it in the working
// folder of a developer, where nobody waits for a build; only in a clone it has set this variable, against endless circles.

import { execFileSync } from 'node:child_process';

if (process.env._PACOTE_NO_PREPARE_ !== undefined) execFileSync('npm', ['run', 'prepack'], { stdio: 'inherit' });
