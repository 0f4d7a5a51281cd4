// Two spellings of one file are one lock, in all apps; and nothing that is no file becomes one.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';

import { fileLock } from '../../../src/http/node/file-lock.js';
import { Lock } from '../../../src/lock.js';
import { RLock } from '../../../src/reentrant-lock.js';
import { Semaphore } from '../../../src/semaphore.js';
import { failure } from '../../support/failure.js';
import { express5App, type Handler } from '../../support/http-frameworks.js';
import { runModule } from '../../support/run-program.js';

function scratchFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'semlock-file-')));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe('The lock of a file', () => {
  it('is one, however the file is spelled, and whether it exists or not', () => {
    const folder = scratchFolder();
    mkdirSync(join(folder, 'data'));
    symlinkSync(join(folder, 'data'), join(folder, 'linked'));
    symlinkSync('data/report', join(folder, 'current'));
    const spellings = ['data/report', 'data/../data/./report', 'linked/report', 'data//report', 'current'];
    const paths = spellings.map((each) => `${folder}/${each}`);
    const names = () => new Set([...paths, relative('.', paths[0]!)].map((file) => new Lock({ file }).name));
    expect([...names()]).toEqual([join(folder, 'data', 'report')]);
    writeFileSync(paths[0]!, 'one');
    expect([...names()]).toEqual([join(folder, 'data', 'report')]);
  });

  it('tells upper case from lower case as the file system does', () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'Report'), '');
    const [upper, lower] = ['Report', 'report'].map((name) => join(folder, name)) as [string, string];
    expect(new Lock({ file: upper }).name === new Lock({ file: lower }).name).toBe(existsSync(lower));
  });

  it('stays the same when another file is put in its place', () => {
    const file = join(scratchFolder(), 'report');
    using _held = new Lock({ file }).tryAcquire();
    writeFileSync(`${file}.new`, 'new');
    renameSync(`${file}.new`, file);
    expect(new Lock({ file }).tryAcquire()).toBeNull();
    expect(new RLock({ file }).tryAcquire()).toBeNull();
  });

  it('is the same in every app, and another than that of a name', () => {
    const file = join(scratchFolder(), 'report');
    using _held = new Lock({ file }).tryAcquire();
    const { stdout } = runModule(
      `process.env.SEMLOCK_NAMESPACE = 'another app';
       const { Lock } = await import('semlock');
       console.log(new Lock({ file: process.argv[1] }).tryAcquire() === null ? 'busy' : 'free');`,
      [file],
    );
    expect(stdout).toBe('busy\n');
    expect(new Lock(file, { namespace: 'test' }).tryAcquire()?.release()).toBe(true);
    expect(new Lock({ file: `${file}2` }).tryAcquire()?.release()).toBe(true);
  });

  it('may be given by its URL', () => {
    const file = join(scratchFolder(), 'a report');
    using _held = new Lock({ file }).tryAcquire();
    expect(new Lock({ file: pathToFileURL(file) }).tryAcquire()).toBeNull();
    for (const url of ['https://example.org/report', 'file:///a%00b', 'file:///a%2Fb']) {
      expect(failure(() => new Lock({ file: new URL(url) }))).toMatchObject({
        code: 'ERR_SEMLOCK_OPTION',
        message: expect.stringContaining(`must be a path or a file: URL, but "${url}" was given`),
      });
    }
  });

  it('may have several permits', () => {
    const file = join(scratchFolder(), 'report');
    const slots = new Semaphore({ file }, { permits: 2 });
    using _one = slots.tryAcquire();
    expect(slots.available).toBe(1);
  });

  it('needs a folder that exists', () => {
    const folder = scratchFolder();
    symlinkSync('circle', join(folder, 'circle'));
    writeFileSync(join(folder, 'file'), '');
    for (const file of ['', 'a\0b', 7, `${folder}/none/report`, `${folder}/file/report`, `${folder}/circle`]) {
      const expected = {
        code: 'ERR_SEMLOCK_OPTION',
        message: expect.stringContaining('new Lock(): option "file" must be a path'),
      };
      expect(failure(() => new Lock({ file } as never))).toMatchObject(expected);
    }
    expect(failure(() => new Lock({ file: `${folder}/report` }, { namespace: 'mine' }))).toMatchObject({
      code: 'ERR_SEMLOCK_OPTION',
      message: expect.stringContaining('option "namespace" must be absent with a file'),
    });
  });
});

describe('fileLock({ file })', () => {
  it('has the lock of the file, from all routes that name it', async () => {
    const folder = scratchFolder();
    const file = (req: { url?: string }) => join(folder, req.url ?? '');
    const app = express5App(fileLock({ file }) as Handler, (_req, res) => void res.end('done'));
    await request(app).get('/report').expect(200, 'done');
    using _held = new Lock({ file: join(folder, 'report') }).tryAcquire();
    await request(app).get('/report').expect(503, 'busy');
    await request(app).get('/other').expect(200, 'done');
    await request(app).get('/none/report').expect(500);
    const fixed = express5App(
      fileLock({ file: join(folder, 'report') }) as Handler,
      (_req, res) => void res.end('done'),
    );
    await request(fixed).get('/').expect(503, 'busy');
    for (const options of [
      { file: pathToFileURL(join(folder, 'report')) },
      { file: () => Promise.resolve(pathToFileURL(join(folder, 'report'))) },
      { files: [join(folder, 'other'), pathToFileURL(join(folder, 'report'))] },
    ]) {
      const byUrl = express5App(fileLock(options) as Handler, (_req, res) => void res.end('done'));
      await request(byUrl).get('/').expect(503, 'busy');
    }
  });

  it('takes neither a name nor a namespace beside it', () => {
    for (const options of [{ name: 'x' }, { namespace: 'x' }]) {
      expect(failure(() => fileLock({ file: '/tmp/x', ...options }))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    }
    expect(failure(() => fileLock({ file: '' }))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
    expect(failure(() => fileLock({ file: '/tmp/no such folder/x' }))).toMatchObject({ code: 'ERR_SEMLOCK_OPTION' });
  });
});
