// The quick tests. Those that need minutes are named `*.long.test.ts` and run by jest.long.config.mjs.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

const resultsFile = process.env.JEST_RESULTS_FILE;

export default {
  testMatch: ['<rootDir>/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '\\.long\\.test\\.ts$'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': at('./jest.transform.cjs') },
  cacheDirectory: at('../.jest-cache'),
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons'] },
  // For a test that hangs: on a machine with a load of 15 each takes ten times as long as on an idle one.
  testTimeout: 120_000,
  // Most tests wait for processes, locks and disks: with one worker, which Jest takes on two processors, half of the time goes by idle.
  maxWorkers: Math.max(2, availableParallelism() - 1),
  reporters: ['default', ...(resultsFile ? [[at('./jest.results.mjs'), { file: resultsFile }]] : [])],
};
