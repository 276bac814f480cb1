/** What is done to several jobs, one after the other. */
import { toWire } from '@penstock/contract';
import { AlreadyReported, exitCodeOf } from '../../terminal/failures.ts';
import { print, printJson, say } from '../../terminal/output.ts';

/** That a job is gone, or not in the state that is needed, is no reason to leave the others. */
const ITS_OWN: ReadonlySet<string> = new Set(['ENOJOB', 'EJOBSTATE']);

export interface EachJob {
  act: (id: string) => Promise<void>;
  /** The line that is printed of a job that is done. */
  describe: (id: string) => string;
  /** An object for each job, done or not, in place of lines. */
  json: boolean;
}

/** @throws (rejects with) AlreadyReported, once all others are done, with the exit code of the first that could not be */
export async function eachJob(ids: readonly string[], { act, describe, json }: EachJob): Promise<void> {
  let exitCode = 0;
  for (const id of ids) {
    try {
      await act(id);
      if (json) printJson({ ok: true, id });
      else print(describe(id));
    } catch (error) {
      const failure = toWire(error);
      if (!ITS_OWN.has(failure.code)) throw error;
      if (json) printJson({ ok: false, id, error: failure });
      else say(failure.message);
      exitCode ||= exitCodeOf(error);
    }
  }
  if (exitCode !== 0) throw new AlreadyReported(exitCode);
}
