/** Says that nothing comes back of a reading: whoever waits for a disk that does not answer shall know what for. */
const LOOK_MS = 1000;
const SILENT_MS = 4000;

export interface SilentReading {
  /** To be called for each part that was read. */
  note(): void;
  /** The reading is over. */
  end(): void;
}

/**
 * Watches the reading of `paths`, and has `say` tell once each time that nothing has come back for a while, and that an
 * interrupt came while nothing does. Nobody can end a process before the disk has answered the calls that are inside it.
 */
export function watchReading(
  paths: readonly string[],
  say: (text: string) => void,
  signal?: AbortSignal,
  silentMs: number = SILENT_MS,
): SilentReading {
  let readAtMs = performance.now();
  let isSaid = false;
  const files = paths.join(' or ');
  const look = (): void => {
    if (isSaid || performance.now() - readAtMs < silentMs) return;
    isSaid = true;
    say(
      `${files} does not answer: nothing has come back for ${Math.round(silentMs / 1000)} s; check its disk and its mount`,
    );
  };
  const onInterrupt = (): void => {
    if (isSaid) say(`this command ends as soon as the file system of ${files} answers`);
  };
  const timer = setInterval(look, Math.min(LOOK_MS, silentMs));
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
