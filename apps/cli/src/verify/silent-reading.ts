/** Reports that a read gets no answer, so that a person knows which disk the command waits for. */

const CHECK_MS = 1000;
const SILENT_MS = 4000;

export interface SilentReading {
  /** To be called for each part that was read. */
  note(): void;
  /** To be called when the reading is over. */
  end(): void;
}

/**
 * Watches the reading of `paths`. `say` gets a text each time that nothing has been read for four seconds, and another
 * if `signal` is aborted then: no process can end before the disk has answered the calls of its threads.
 */
export function watchReading(
  paths: readonly string[],
  say: (text: string) => void,
  signal?: AbortSignal,
): SilentReading {
  let readAtMs = performance.now();
  let isSaid = false;
  const files = paths.join(' or ');
  const check = (): void => {
    if (isSaid || performance.now() - readAtMs < SILENT_MS) return;
    isSaid = true;
    say(`${files} does not answer: nothing has come back for ${SILENT_MS / 1000} s; check its disk and its mount`);
  };
  const onInterrupt = (): void => {
    if (isSaid) say(`this command ends as soon as the file system of ${files} answers`);
  };
  const timer = setInterval(check, CHECK_MS);
  signal?.addEventListener('abort', onInterrupt);
  return {
    note: () => {
      readAtMs = performance.now();
      isSaid = false;
    },
    end: () => {
      clearInterval(timer);
      signal?.removeEventListener('abort', onInterrupt);
    },
  };
}
