// Only the Web Locks API steals; tests need the thief's hold in hand.

import type { Hold } from '../../src/hold.js';
import type { StoredLock } from '../../src/stored-lock.js';

export function steal(lock: StoredLock): Promise<Hold | null> {
  return new Promise((resolve, reject) => lock.request({ mode: 'exclusive', steal: true }, false, resolve, reject));
}
