// The lock of a file. Its name is the file's real path, so that all spellings of a path mean one lock, in all apps of a user.

import { lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { optionError } from './options.js';

/** The namespace of the locks of files, whatever the app's own is. No app has it by default, because that is a folder. */
export const FILE_NAMESPACE = 'file://';

/** Where a file is: a path, or a `file:` URL. */
export type FilePath = string | URL;

/** A file in place of a name: its lock is the same in all apps of this user. */
export interface FileTarget {
  /** Its path. The file need not exist, but its folder must. */
  readonly file: FilePath;
}

/** As many links as Linux follows. */
const MOST_LINKS = 40;

/**
 * The name of the lock of a file, which need not exist yet; its folder must. Links are followed, so that all that lead to
 * one file are one lock. A file that is put in its place by rename(2) does not change it. A folder that is mounted at two
 * places has two paths, and so its files have two locks.
 *
 * @throws {@link SemlockError} `ERR_SEMLOCK_OPTION` when the folder does not exist or cannot be read.
 */
export function fileLockName(owner: string, file: unknown): string {
  let path = resolve(pathOf(owner, file));
  try {
    // If the file exists, the system says what it is called, even where `A` and `a` are one file.
    for (let links = 0; links < MOST_LINKS; links += 1) {
      try {
        return realpathSync.native(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
      const folder = realpathSync.native(dirname(path));
      path = join(folder, basename(path));
      if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return path;
      path = resolve(folder, readlinkSync(path)); // to a file that does not exist yet
    }
  } catch (error) {
    throw noPath(
      owner,
      file,
      `a path in a folder that exists (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
    );
  }
  throw noPath(owner, file, 'a path without a circle of links');
}

function pathOf(owner: string, file: unknown): string {
  if (typeof file === 'string' && file !== '' && !file.includes('\0')) return file;
  if (!(file instanceof URL)) throw noPath(owner, file, 'a path or a file: URL');
  try {
    return pathOf(owner, fileURLToPath(file));
  } catch {
    throw noPath(owner, file.href, 'a path or a file: URL');
  }
}

function noPath(owner: string, file: unknown, accepts: string): Error {
  return optionError(owner, 'file', file, accepts);
}
