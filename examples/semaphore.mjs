// At most two at a time, in all processes together: start this several times at once.
import { setTimeout } from 'node:timers/promises';

import { Semaphore } from 'semlock';

const thumbnails = new Semaphore('thumbnails', { permits: 2 });

const work = Array.from({ length: 4 }, (_, number) =>
  thumbnails.run(async () => {
    console.log(`begin ${number}`);
    await setTimeout(100);
    console.log(`end ${number}`);
  }),
);
await Promise.all(work);
