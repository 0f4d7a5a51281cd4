// What a lock without an addon would take at least: the locked instructions of a Lock's pair, in JavaScript.

const [LATCH, SEMAPHORE, ME] = [0, 16, 1];

export const uncontended = {
  pair: () => {
    const words = new Int32Array(new SharedArrayBuffer(4096));
    words[SEMAPHORE] = 1;
    const enter = () => {
      if (Atomics.compareExchange(words, LATCH, 0, ME) !== 0) throw new Error('the latch was not free');
    };
    const leave = () => {
      if (Atomics.exchange(words, LATCH, 0) !== ME) throw new Error('the latch was taken over');
    };
    return (count) => {
      for (let i = 0; i < count; i++) {
        enter();
        if (Atomics.compareExchange(words, SEMAPHORE, 1, 0) !== 1) throw new Error('the semaphore was not free');
        leave();
        enter();
        Atomics.add(words, SEMAPHORE, 1);
        leave();
      }
    };
  },
};
