/** Shows on the progress line how far a reading has come. */
import type { ProgressLine } from '../terminal/progress-line.ts';

/** Returns what is to be called as bytes are read; `verb` names on the line what is done. */
export function showReading(
  title: string,
  line: ProgressLine,
  verb = 'reading back',
): (read: number, total: number) => void {
  const startedAt = performance.now();
  return (bytesWritten, totalBytes) => {
    const bytesPerSecond = (bytesWritten / (performance.now() - startedAt)) * 1000;
    const progress = totalBytes === 0 ? 100 : (bytesWritten / totalBytes) * 100;
    line.update(title, { bytesWritten, totalBytes, bytesPerSecond, etaMs: null, progress, phase: verb });
  };
}
