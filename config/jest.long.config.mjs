// The tests that need minutes: `npm run test:long`. One file at a time, since each may load the whole machine.
import quick from './jest.config.mjs';

export default {
  ...quick,
  testMatch: ['<rootDir>/**/*.long.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  testTimeout: 300_000,
  maxWorkers: 1,
};
