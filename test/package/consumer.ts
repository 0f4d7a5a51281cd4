// Projects that use the package as its users do: each folder here is one. It is copied out of this repository, gets the
// packed package and the packages it names from the registry, and is compiled and run there.

import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { inject } from 'vitest';

import { QUICK_START } from '../../.config/quick-start.js';
import { Server } from './server.js';

/** No program of a test may take longer. */
const TIMEOUT_MS = 120_000;

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

/** Of what asks no registry. */
const offline = (): NodeJS.ProcessEnv => ({ ...process.env, ...QUICK_START });

/** A project outside of the repository. */
export class Consumer {
  readonly folder = mkdtempSync(join(inject('workshop'), 'consumer-'));

  readonly #env: NodeJS.ProcessEnv;

  /** Copies the folder `project` and installs what its package.json names, and the package. */
  constructor(project: string, env = process.env, semlock = inject('tarball')) {
    this.#env = env;
    cpSync(fileURLToPath(new URL(project, import.meta.url)), this.folder, { recursive: true });
    this.install(semlock);
  }

  install(...packages: string[]): void {
    const quietly = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
    execFileSync('npm', ['install', ...quietly, ...packages], {
      cwd: this.folder,
      env: this.#env,
      stdio: 'pipe',
    });
  }

  /** Compiles by the project's tsconfig.json; throws with what the compiler says. */
  compile(): void {
    this.run(process.execPath, tsc, '-p', '.');
  }

  /** Runs a program in the project and gives what it printed; throws with that when it fails. */
  run(program: string, ...args: string[]): string {
    try {
      const options = { cwd: this.folder, env: offline(), stdio: 'pipe', timeout: TIMEOUT_MS } as const;
      return execFileSync(program, args, { ...options, encoding: 'utf8' });
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${[program, ...args].join(' ')} failed in ${this.folder}\n${stdout}\n${stderr}`, {
        cause: error,
      });
    }
  }

  /** As `run`, while others run; gives what it printed to both outputs, and does not throw when it fails. */
  output(program: string, ...args: string[]): Promise<string> {
    return new Promise((resolve) => {
      const env = { ...offline(), NO_COLOR: '1', FORCE_COLOR: undefined };
      const options = { cwd: this.folder, env, timeout: TIMEOUT_MS };
      execFile(program, args, options, (_error, stdout, stderr) => {
        resolve(stdout + stderr);
      });
    });
  }

  readJson(file: string): unknown {
    return JSON.parse(readFileSync(join(this.folder, file), 'utf8'));
  }

  /** Starts the project's server in a process of its own, and resolves when it listens. */
  serve(namespace: string): Promise<Server> {
    return Server.start(join(this.folder, 'dist/main.js'), namespace);
  }
}
