const { memoryStore, processStore } = require('semlock');
const { testStore } = require('semlock/conformance');

const memory = memoryStore();
testStore({ store: () => processStore });
testStore({ store: () => memory });
