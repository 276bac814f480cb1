/**
 * Checks one root in a process of its own: a process that calls a file system which does not answer waits for it, and
 * cannot be ended before it does.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { formatDuration } from '@penstock/config';
import type { RootConfig } from '@penstock/disk';
import { type Finding, broken, fail } from './finding.ts';

export interface RootQuestion {
  root: RootConfig;
  /** The host makes it if it is missing. */
  isMade: boolean;
  dataDirectory: string;
  libaioFile: string | undefined;
}

/** A message of the process: a finding as it is found, or what it checks next, or its end. */
export type RootMessage = { finding: Finding } | { next: RootStage } | { over: true };
export type RootStage = 'the directory' | 'a real write' | 'the space' | 'the calibration' | 'partial files';

/** How long a stage may take; a large tree of files takes its time. */
const STAGE_MS_MAX = 3000;
const TREE_MS_MAX = 60_000;
/** How long the process may take to begin. */
const START_MS_MAX = 30_000;

/** The compiled entry of the process; the same file from `src/` and from `dist/`. */
const entry = new URL('../../dist/doctor/root-process-main.js', import.meta.url);

/** What is found of one root; never rejects, and never waits for a file system that does not answer. */
export function checkRootApart(question: RootQuestion, stageMsMax: number = STAGE_MS_MAX): Promise<Finding[]> {
  const { name, path } = question.root;
  const findings: Finding[] = [];
  const child = fork(entry, { execArgv: [], stdio: 'ignore', serialization: 'advanced' });
  return new Promise((resolve) => {
    let stage: RootStage | null = null;
    let timer: NodeJS.Timeout | undefined;
    const end = (last?: Finding): void => {
      clearTimeout(timer);
      if (last !== undefined) findings.push(last);
      leave(child);
      resolve(findings);
    };
    const wait = (): void => {
      clearTimeout(timer);
      const ms = stage === null ? START_MS_MAX : stage === 'partial files' ? TREE_MS_MAX : stageMsMax;
      timer = setTimeout(() => end(silent(name, path, stage, ms)), ms);
    };
    child.on('message', (message: RootMessage) => {
      if ('finding' in message) findings.push(message.finding);
      else if ('next' in message) stage = message.next;
      else end();
      if (!('over' in message)) wait();
    });
    child.once('error', (error) => end(broken(`root ${name}`, error, `look at ${path}`)));
    child.once('exit', (code, signal) => {
      const error = new Error(`the process that looked at it ended (${signal ?? `exit code ${code}`})`);
      end(broken(`root ${name}`, error, `look at ${path}`));
    });
    child.send(question);
    wait();
  });
}

/** It ends by itself, or once its file system answers: it is not waited for. */
function leave(child: ChildProcess): void {
  child.removeAllListeners();
  child.on('error', () => {}); // of no interest any more
  child.kill('SIGKILL');
  child.unref();
  if (child.connected) child.disconnect();
}

function silent(name: string, path: string, stage: RootStage | null, ms: number): Finding {
  const found = `${path} does not answer: looking at ${stage ?? 'it'} has taken ${formatDuration(ms)}, and is not over`;
  return fail(
    `root ${name}`,
    found,
    'check its device, its server and the mount (dmesg, findmnt): until it answers its jobs wait, or go to other hosts',
  );
}
