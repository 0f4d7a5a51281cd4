import { describe, it } from 'node:test';

import { memoryStore, processStore } from 'semlock';
import { testStore } from 'semlock/conformance';

const memory = memoryStore();
testStore({ store: () => processStore, describe, it });
testStore({ store: () => memory, describe, it });
