// Writes the results file that report.mjs reads, anew after each test file: what ends a run early hides no earlier result.
import { renameSync, writeFileSync } from 'node:fs';

export default class ResultsReporter {
  #file;
  #testResults = [];

  constructor(_globalConfig, { file }) {
    this.#file = file;
  }

  onRunStart() {
    this.#write();
  }

  onTestFileResult(_test, { testFilePath, testResults, failureMessage, testExecError }) {
    this.#testResults.push({
      name: testFilePath,
      status:
        testExecError || failureMessage || testResults.some(({ status }) => status === 'failed') ? 'failed' : 'passed',
      assertionResults: testResults.map(({ fullName, status, duration }) => ({ fullName, status, duration })),
    });
    this.#write();
  }

  #write() {
    // Renamed into place, so that it can be parsed whenever this process dies.
    const part = `${this.#file}.part`;
    writeFileSync(part, JSON.stringify({ testResults: this.#testResults }));
    renameSync(part, this.#file);
  }
}
