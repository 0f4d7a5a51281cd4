const { meet } = require('./meet.cjs');

test('has the lock beside the other test file', () => meet('two', 'one'), 60_000);
