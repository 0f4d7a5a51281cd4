import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { describe, expect, inject, it } from 'vitest';

import { Consumer } from './consumer.js';

const exported =
  'FileLocked Lock Locked NamedSemaphore SemlockError Semaphore ThreadLock fileLock locked processStore threadStore';

describe('the packed package', () => {
  const consumer = new Consumer('esm');

  it('carries a binary for this platform, the sources to build it anywhere, and no tests', () => {
    const files = consumer.run('tar', '-tzf', inject('tarball')).split('\n');
    const libc = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    const binary = `semlock.${libc.header.glibcVersionRuntime === undefined ? 'musl' : 'glibc'}.node`;
    expect(files).toContain(`package/prebuilds/${process.platform}-${process.arch}/${binary}`);
    expect(files).toEqual(
      expect.arrayContaining(['package/binding.gyp', 'package/native/addon.cc', 'package/dist/index.d.ts']),
    );
    expect(files.filter((file) => /^package\/(test|example-app|build|\.)/.test(file))).toEqual([]);
  });

  it('is installed without running any script', () => {
    const lock = consumer.readJson('package-lock.json') as { packages: Record<string, { hasInstallScript?: boolean }> };
    expect(lock.packages['node_modules/semlock']).toBeDefined();
    const scripted = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript);
    expect(scripted).toEqual([]);
  });
});
