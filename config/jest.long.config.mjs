// The tests that need minutes: `npm run test:long`. Two files at a time: each waits for its processes half of the time.
import quick from './jest.config.mjs';

export default {
  ...quick,
  testMatch: ['<rootDir>/**/*.long.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  testTimeout: 300_000,
  maxWorkers: 2,
};
