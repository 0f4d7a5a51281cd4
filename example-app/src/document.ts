// The work that needs a lock: a text file, and two files that are derived from it. It is written as such code often
// is, in steps and without a lock of its own, so two workers that do it at once lose lines and mix their output.

import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { appendFile, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createGzip, gunzip } from 'node:zlib';

const unpack = promisify(gunzip);

export interface Summary {
  readonly lines: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** What {@link Document.check} found. */
export interface Verdict extends Summary {
  /** Whether nothing is lost and the derived files match. */
  readonly ok: boolean;
  /** How many appends have succeeded since the last upload. */
  readonly appended: number;
  /** What is wrong, in sentences. */
  readonly problems: readonly string[];
}

/** A folder with a text, its gzip copy, its summary, and a receipt for each line that was appended. */
export class Document {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Adds a line: reads the text and writes it anew, and all that is derived from it. Takes about `ms` milliseconds. */
  async append(line: string, ms: number): Promise<Summary> {
    const receipt = randomBytes(4).toString('hex');
    const before = await this.text();
    await pause(ms / 4);
    const summary = await this.#rewrite(`${before}${receipt} ${line}\n`, (ms * 3) / 4);
    // A single small write with O_APPEND is safe without a lock, so the receipts tell what should be in the text.
    await appendFile(this.#path('receipts'), `${receipt}\n`);
    return summary;
  }

  /** Replaces the text, and all that is derived from it. Takes about `ms` milliseconds. */
  async upload(text: string, ms: number): Promise<Summary> {
    const summary = await this.#rewrite(text, ms);
    await writeFile(this.#path('receipts'), '');
    return summary;
  }

  /** The text; empty when there is none yet. */
  async text(): Promise<string> {
    return (await this.#read('text')).toString();
  }

  /** Compares the text with its receipts and with what was derived from it. */
  async check(): Promise<Verdict> {
    const text = await this.#read('text');
    const receipts = (await this.#read('receipts')).toString().split('\n').filter(Boolean);
    const lines = new Set(
      text
        .toString()
        .split('\n')
        .map((line) => line.split(' ', 1)[0]),
    );
    const lost = receipts.filter((receipt) => !lines.has(receipt)).length;
    const summary = summarize(text);
    const problems: string[] = [];
    if (lost > 0) problems.push(`${lost} of ${receipts.length} appended lines are lost`);
    if (text.length > 0 && !(await this.#copyMatches(text))) problems.push('the gzip copy holds another text');
    if (text.length > 0 && (await this.#read('summary.json')).toString() !== JSON.stringify(summary)) {
      problems.push('the summary describes another text');
    }
    return { ok: problems.length === 0, ...summary, appended: receipts.length, problems };
  }

  /** Removes everything. */
  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #rewrite(text: string, ms: number): Promise<Summary> {
    const bytes = Buffer.from(text);
    const half = bytes.length >> 1;
    await mkdir(this.#folder, { recursive: true });
    const file = await open(this.#path('text'), 'w');
    try {
      await file.writeFile(bytes.subarray(0, half));
      await pause(ms / 3);
      await file.writeFile(bytes.subarray(half));
    } finally {
      await file.close();
    }
    await pipeline(createReadStream(this.#path('text')), createGzip(), createWriteStream(this.#path('text.gz')));
    await pause(ms / 3);
    const summary = summarize(await this.#read('text'));
    await pause(ms / 3);
    await writeFile(this.#path('summary.json'), JSON.stringify(summary));
    return summary;
  }

  async #copyMatches(text: Buffer): Promise<boolean> {
    try {
      return text.equals(await unpack(await this.#read('text.gz')));
    } catch {
      return false; // not even a gzip file any more
    }
  }

  async #read(file: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(file));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
      throw error;
    }
  }

  #path(file: string): string {
    return join(this.#folder, file);
  }
}

function summarize(text: Buffer): Summary {
  return {
    lines: text.toString().split('\n').length - 1,
    bytes: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
  };
}
