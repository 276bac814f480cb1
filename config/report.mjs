// Sums what Jest wrote for each project, fresh or out of nx's cache.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const resultFile = (root, project) => join(root, project, '.jest-results.json');

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

function countTestFiles(folder) {
  let count = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    if (entry.isDirectory()) count += countTestFiles(join(folder, entry.name));
    else if (entry.name.endsWith('.test.ts')) count += 1;
  }
  return count;
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
export function forgetResults(root) {
  for (const project of projectsOf(root)) rmSync(resultFile(root, project), { force: true });
}

/**
 * The failed and skipped tests by name, what has no result, and as last line `N passed, N failed, N skipped`.
 * A test file that cannot be loaded counts as one failed test. `good` is false if a test failed, or a test file was not run.
 *
 * @param {string} root
 * @param {{ all: boolean }} ran whether every project was to run
 * @returns {{ lines: string[], good: boolean }}
 */
export function report(root, { all }) {
  const failed = [];
  const skipped = [];
  const unrun = [];
  let passedCount = 0;
  for (const project of projectsOf(root)) {
    const fileCount = countTestFiles(join(root, project));
    if (!existsSync(resultFile(root, project))) {
      if (all && fileCount > 0) unrun.push(`no result: ${project} (${fileCount} test files)`);
      continue;
    }
    const { testResults } = JSON.parse(readFileSync(resultFile(root, project), 'utf8'));
    if (testResults.length < fileCount)
      unrun.push(`no result: ${fileCount - testResults.length} test files of ${project}`);
    for (const { name, status, assertionResults } of testResults) {
      const tests = assertionResults.map((test) => ({ status: test.status, line: `${project}: ${test.fullName}` }));
      const failures = tests.filter((test) => test.status === 'failed');
      passedCount += tests.filter((test) => test.status === 'passed').length;
      skipped.push(...tests.filter((test) => test.status !== 'passed' && test.status !== 'failed'));
      failed.push(...failures);
      if (status === 'failed' && failures.length === 0)
        failed.push({ line: `${project}: ${name.slice(name.lastIndexOf('/') + 1)} could not be run` });
    }
  }
  return {
    lines: [
      ...unrun,
      ...(skipped.length > 0 ? missingTools(root) : []),
      ...skipped.map(({ line }) => `skipped: ${line}`),
      ...failed.map(({ line }) => `failed: ${line}`),
      `${passedCount} passed, ${failed.length} failed, ${skipped.length} skipped`,
    ],
    good: failed.length === 0 && unrun.length === 0,
  };
}
