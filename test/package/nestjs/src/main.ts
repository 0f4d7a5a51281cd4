import 'reflect-metadata';

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import {
  applyDecorators,
  Controller,
  Header,
  Injectable,
  Module,
  HttpException,
  Post,
  Req,
  Res,
  UseGuards,
  type CanActivate,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request, Response } from 'express';
import { FileLocked, Locked } from 'semlock';
import { FileLocked as RouteLocked, Locked as ServiceLocked, LockModule } from 'semlock/nest';

@Injectable()
class Work {
  /** Lasts until the test lets it finish. */
  async done(): Promise<string> {
    process.send?.('working');
    await once(process, 'message');
    return 'done';
  }
}

/** Refuses a request if the metadata of the guard did not survive the decorators below it. */
@Injectable()
class OpenGuard implements CanActivate {
  canActivate(): boolean {
    return true;
  }
}

const Exclusive = () => applyDecorators(FileLocked('report'), Header('X-Exclusive', 'yes'));

@Controller()
class Reports {
  constructor(private readonly work: Work) {}

  @FileLocked('report')
  @Post('above')
  @UseGuards(OpenGuard)
  async above(@Res() res: Response, @Req() _req: Request): Promise<void> {
    res.send(await this.work.done());
  }

  @Post('below')
  @UseGuards(OpenGuard)
  @FileLocked({ name: (req) => `report:${req.url}` })
  async below(@Req() _req: Request, @Res() res: Response): Promise<void> {
    res.send(await this.work.done());
  }

  @Post('combined')
  @Exclusive()
  async combined(@Res() res: Response): Promise<void> {
    res.send(await this.work.done());
  }

  @Post('later')
  @FileLocked({ name: async () => Promise.resolve('report') })
  async later(@Res() res: Response): Promise<void> {
    res.send(await this.work.done());
  }

  @Post('fails')
  @FileLocked('report')
  async fails(@Res() _res: Response): Promise<void> {
    await Promise.reject(new HttpException('the error handler', 418));
  }
}

@Controller('ledger')
class Ledger {
  constructor(private readonly work: Work) {}

  @Post()
  @Locked('ledger')
  async rewrite(): Promise<string> {
    return this.work.done();
  }
}

@Injectable()
class Jobs {
  constructor(private readonly work: Work) {}

  @ServiceLocked('job', { onBusy: 'skip' })
  async run(): Promise<void> {
    await this.work.done();
  }
}

@Controller('route')
class Routes {
  constructor(private readonly work: Work) {}

  @RouteLocked({ name: (req) => `route:${req.path}` })
  @Post()
  async route(): Promise<string> {
    return this.work.done();
  }
}

@Module({
  imports: [LockModule.forRoot()],
  controllers: [Reports, Ledger, Routes],
  providers: [Work, OpenGuard, Jobs],
})
class App {}

const app = await NestFactory.create(App, { logger: ['error'] });
await app.listen(0, '127.0.0.1');
const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
process.send?.({ port });
process.once('disconnect', () => process.exit());
