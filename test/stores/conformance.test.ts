// Every store keeps the same contract. A new one needs a line here.

import { describe, it } from 'vitest';

import { testStore } from '../../src/conformance/index.js';
import { memoryStore } from '../../src/stores/memory/memory-store.js';
import { processStore } from '../../src/stores/process/process-store.js';
import { tinyStore } from '../support/tiny-store.js';

const memory = memoryStore();
const tiny = tinyStore();

testStore({ store: () => processStore, describe, it });
testStore({ store: () => memory, describe, it });
testStore({ store: () => tiny, describe, it });
