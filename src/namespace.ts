// Which app this process belongs to. Locks of one app must not meet those of another, and all processes of one app must
// come to the same answer, however each of them was started.

import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { SemlockError } from './errors.js';
import { host, mainScript } from './main-script.js';

/** A namespace, and why it is the one. */
export interface Namespace {
  readonly name: string;
  /** A clause that can stand after "because". */
  readonly because: string;
  /** For want of an app: hardly any other program has it, unless it is started in the same folder. */
  readonly isGuess?: true;
}

/**
 * The namespace of this program: `SEMLOCK_NAMESPACE` if it is set and not empty, otherwise the real path of the folder
 * of the package that the main script belongs to. A script within `node_modules`, such as a framework's command,
 * belongs to the app that has it installed. A script that belongs to no package, or to a known app server, counts as one of
 * the package of the working folder.
 *
 * It is settled at the first call: a process that computed another one later could hold a lock twice.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_NAMESPACE` when `SEMLOCK_NAMESPACE` has changed since then, or when this process
 * may not read the package.json that decides it.
 */
export function defaultNamespace(): string {
  const chosen = chosenNamespace();
  if (settled === undefined) {
    settled = { chosen, name: chosen ?? ofProgram().name };
  } else if (settled.chosen !== chosen) {
    throw new SemlockError(
      'ERR_SEMLOCK_NAMESPACE',
      `SEMLOCK_NAMESPACE ${given(settled.chosen)} when the first lock was made, and ${given(chosen)} now: locks of the ` +
        'two would not exclude each other. Set it before the first lock is made, or give locks the option "namespace"',
    );
  }
  return settled.name;
}

let settled: { readonly chosen: string | undefined; readonly name: string } | undefined;

/** The namespace of the app in whose folder somebody works, for a command that is no part of that app. */
export function workingFolderNamespace(): Namespace {
  const chosen = chosenNamespace();
  return chosen === undefined ? ofWorkingFolder() : { name: chosen, because: 'SEMLOCK_NAMESPACE says so' };
}

function chosenNamespace(): string | undefined {
  const chosen = process.env['SEMLOCK_NAMESPACE'];
  return chosen === '' ? undefined : chosen;
}

function given(chosen: string | undefined): string {
  return chosen === undefined ? 'was not set' : `was ${JSON.stringify(chosen)}`;
}

function ofProgram(): Namespace {
  if (mainScript === undefined || host !== undefined) return ofWorkingFolder();
  const start = scriptFolder(resolve(mainScript));
  const end = `${start}/`.indexOf('/node_modules/');
  const owner = start.slice(0, end) || '/';
  if (end >= 0 && hasPackage(owner)) return { name: owner, because: 'the main script is installed there' };
  const name = packageFolder(start);
  if (name !== undefined) return { name, because: 'it is the package of the main script' };
  return packageFolder(process.cwd()) === undefined
    ? { name: start, because: 'the main script lies there, and neither it nor the working folder is in a package' }
    : ofWorkingFolder();
}

function ofWorkingFolder(): Namespace {
  const folder = process.cwd();
  const name = packageFolder(folder);
  if (name === undefined) {
    return { name: folder, because: 'it is the working folder, which is in no package', isGuess: true };
  }
  return { name, because: 'it is the package of the working folder' };
}

/** `script` may also be a folder (`node .`) or lack its extension (`node server`). */
function scriptFolder(script: string): string {
  if (!existsSync(script)) return existsSync(dirname(script)) ? realpathSync(dirname(script)) : process.cwd();
  const real = realpathSync(script);
  return statSync(real).isDirectory() ? real : dirname(real);
}

/** Where compilers and frameworks put what they make. Some put a package.json there: the app's own, or one of theirs. */
const BUILD_FOLDERS =
  /\/(dist|build|out|\.next|\.nuxt|\.output|\.svelte-kit|\.vercel|\.netlify|\.serverless|\.webpack)\//;

/**
 * The folder of the package that `start` belongs to. A `package.json` without a name and a version only tells Node.js how to
 * read the files beside it, so it counts only where there is no other. One in a build folder belongs to the package around
 * it.
 */
function packageFolder(start: string): string | undefined {
  let anonymous: string | undefined;
  let found: string | undefined;
  for (let folder = start; ; folder = dirname(folder)) {
    const counts = found === undefined || BUILD_FOLDERS.test(`${found.slice(folder.length)}/`);
    if (counts && hasPackage(folder)) {
      if (isNamed(folder)) found = folder;
      else anonymous ??= folder;
    }
    if (folder === dirname(folder)) return found ?? anonymous;
  }
}

function hasPackage(folder: string): boolean {
  const file = join(folder, 'package.json');
  try {
    return existsSync(file);
  } catch (cause) {
    // Under Node's permission model. Another process of this app may see the file, and would have other locks.
    throw new SemlockError(
      'ERR_SEMLOCK_NAMESPACE',
      `this process may not read ${file}, on which its namespace depends: allow that with --allow-fs-read, or set ` +
        'SEMLOCK_NAMESPACE, or give locks the option "namespace"',
      { cause },
    );
  }
}

function isNamed(folder: string): boolean {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
    return name !== undefined || version !== undefined;
  } catch {
    return true; // half written or not to be read: a file that comes and goes must not move the locks
  }
}
