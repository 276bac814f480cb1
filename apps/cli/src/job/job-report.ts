/** How write and watch answer: for a person, or as one JSON object. */
import { toWire } from '@penstock/contract';
import { AlreadyReported, EXIT_FAILED, exitCodeOf } from '../terminal/failures.ts';
import { printJson } from '../terminal/output.ts';

/** What a job's command found out so far: named in the answer also if it fails. */
export interface JobAnswer {
  id?: string;
}

/**
 * Runs `perform`; with `json`, whatever comes of it is printed as one object: {"ok":true,"id":…,"result":…} or
 * {"ok":false,"id":…,"error":…}. What `perform` found may itself say that it is not `ok`: a bulk's result contains files
 * that failed.
 */
export async function answering(
  json: boolean,
  perform: (answer: JobAnswer) => Promise<object & { ok?: boolean }>,
): Promise<void> {
  const answer: JobAnswer = {};
  if (!json) {
    concludeAs(await perform(answer));
    return;
  }
  let found: object & { ok?: boolean };
  try {
    found = await perform(answer);
  } catch (error) {
    printJson({ ok: false, ...answer, error: toWire(error) });
    throw new AlreadyReported(exitCodeOf(error));
  }
  printJson({ ok: true, ...answer, ...found });
  concludeAs(found);
}

function concludeAs({ ok = true }: { ok?: boolean }): void {
  if (!ok) throw new AlreadyReported(EXIT_FAILED);
}
