module.exports = {
  testMatch: ['**/*.spec.ts'],
  transform: { '\\.ts$': ['ts-jest', { tsconfig: `${__dirname}/../ts/tsconfig.json` }] },
};
