import type { DynamicModule } from '@nestjs/common';
import { FileLocked, Locked, LockModule, LockService } from 'semlock/nest';

export const imported: DynamicModule = LockModule.forRoot({ namespace: 'app' });
// @ts-expect-error -- The types reach the consumer, so that a mistake is one.
LockModule.forRoot({ namespace: 7 });
export const decorators = [FileLocked('report'), Locked('report')];
export const report = (locks: LockService): Promise<number> => locks.run('report', () => 7);
