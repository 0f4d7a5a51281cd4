const { meet } = require('./meet.cjs');

test('has the lock beside the other test file', () => meet('one', 'two'), 60_000);
