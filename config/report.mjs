// Sums what the tests' results files hold, fresh or out of nx's cache.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';

/** The folders of the workspaces, as package.json names them: "libs/*" or "test". */
function projectsOf(root) {
  const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return workspaces
    .flatMap((pattern) => {
      if (!pattern.endsWith('/*')) return [pattern];
      const parent = pattern.slice(0, -2);
      return readdirSync(join(root, parent)).map((name) => `${parent}/${name}`);
    })
    .filter((project) => existsSync(join(root, project, 'package.json')));
}

const isLong = (name) => name.endsWith('.long.test.ts');
export const LONG_RESULTS = '.jest-results.long.json';

/** The two runs that have a report: which test files they consist of, and where each project's results are. */
const RUNS = {
  quick: { has: (name) => !isLong(name), resultsFile: (project) => join(project, '.jest-results.json') },
  long: { has: isLong, resultsFile: () => LONG_RESULTS },
};

function* testFiles(root, folder, has) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* testFiles(root, path, has);
    else if (entry.name.endsWith('.test.ts') && has(entry.name)) yield path;
  }
}

/**
 * What a results file holds, or null where there is none that can be read. By whole names of test files: the checkout
 * may lie in a directory that is called like a project, and may have been moved since nx kept the results.
 */
function readResults(file) {
  try {
    const { testResults } = JSON.parse(readFileSync(file, 'utf8'));
    if (!Array.isArray(testResults)) return null;
    return (path) => testResults.find(({ name }) => name.endsWith(`/${path}`));
  } catch {
    return null;
  }
}

/** Why set-up found no browser or no strace, of which a skipped test may speak. */
function missingTools(root) {
  try {
    return Object.values(JSON.parse(readFileSync(join(root, '.cache/native.json'), 'utf8')).missing);
  } catch {
    return [];
  }
}

/** Removes the results of earlier runs. */
export function forgetResults(root, run) {
  for (const project of projectsOf(root)) rmSync(join(root, RUNS[run].resultsFile(project)), { force: true });
}

/**
 * The failed and skipped tests by name, and as last line `N passed, N failed, N skipped`. Each of these counts as one
 * failed test: a test file without a result, whatever ended its run; one that cannot be loaded; one that failed beside its tests.
 *
 * @param {string} root
 * @param {{ runs: ('quick' | 'long')[], all: boolean, asked?: (path: string) => boolean, alsoFailed?: string[] }} ran
 *   whether every project was to run, and which of its test files, and what else failed
 * @returns {{ lines: string[], good: boolean }}
 */
export function report(root, { runs, all, asked = () => true, alsoFailed = [] }) {
  const failed = [];
  const skipped = [];
  let passedCount = 0;
  for (const run of runs) {
    for (const project of projectsOf(root)) {
      const file = join(root, RUNS[run].resultsFile(project));
      const resultOf = readResults(file);
      if (resultOf === null && !all && !existsSync(file)) continue;
      for (const path of testFiles(root, project, RUNS[run].has)) {
        if (!asked(path)) continue;
        const result = resultOf?.(path);
        if (result === undefined) {
          failed.push(`${path} has no result`);
          continue;
        }
        const { status, assertionResults } = result;
        const named = (...statuses) =>
          assertionResults
            .filter((test) => statuses.includes(test.status))
            .map(({ fullName }) => `${project}: ${fullName}`);
        const passed = named('passed');
        const failures = named('failed');
        passedCount += passed.length;
        failed.push(...failures);
        skipped.push(...named('pending', 'todo', 'skipped', 'disabled', 'focused'));
        if (status === 'failed' && failures.length === 0) failed.push(`${project}: ${basename(path)} could not be run`);
      }
    }
  }
  failed.push(...alsoFailed);
  return {
    lines: [
      ...(skipped.length > 0 ? missingTools(root) : []),
      ...skipped.map((line) => `skipped: ${line}`),
      ...failed.map((line) => `failed: ${line}`),
      `${passedCount} passed, ${failed.length} failed, ${skipped.length} skipped`,
    ],
    good: failed.length === 0,
  };
}
