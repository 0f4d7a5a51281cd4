// The module of NestJS that knows where the app's locks live.

import type { DynamicModule, ModuleMetadata } from '@nestjs/common';

import { checkModuleOptions, LockService, type LockModuleOptions } from './lock-service.js';

/** Options of {@link LockModule.forRootAsync}. */
export interface LockModuleAsyncOptions extends Pick<ModuleMetadata, 'imports'> {
  /** Makes the options from what was injected. */
  useFactory: (...args: never[]) => LockModuleOptions | Promise<LockModuleOptions>;
  /** What it is given. */
  inject?: readonly unknown[];
}

/**
 * Import it once, in the root module. Then `@FileLocked()`, `@Locked()` and an injected `LockService` work in all modules.
 *
 * @example
 * ```ts
 * import { Module } from '@nestjs/common';
 * import { LockModule } from 'semlock/nest';
 *
 * @Module({ imports: [LockModule.forRoot({ namespace: 'shop' })] })
 * class AppModule {}
 * ```
 */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- NestJS takes classes for modules.
export class LockModule {
  /** @throws `SemlockError` `ERR_SEMLOCK_OPTION`. */
  static forRoot(options: LockModuleOptions = {}): DynamicModule {
    checkModuleOptions(options);
    return moduleWith({ provide: LockService, useFactory: () => new LockService(options) });
  }

  /** With options that are known only later: wrong ones are an error when the app starts. */
  static forRootAsync({ imports = [], inject = [], useFactory }: LockModuleAsyncOptions): DynamicModule {
    const make = async (...args: never[]) => new LockService(await useFactory(...args));
    return { ...moduleWith({ provide: LockService, useFactory: make, inject: [...inject] as never[] }), imports };
  }
}

function moduleWith(provider: Extract<NonNullable<DynamicModule['providers']>[number], { useFactory: unknown }>) {
  return { module: LockModule, global: true, providers: [provider], exports: [LockService] } satisfies DynamicModule;
}
