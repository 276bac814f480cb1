/** The progress of one write as a line: what it shows, and how it is kept up to date on a terminal or in a log. */
import { type WriteProgress, escapeControls, formatBytes } from '@penstock/contract';
import { formatClock, formatRate, shortenMiddle } from './figures.ts';
import { liveLine, noteScreen, sayLine } from './output.ts';
import { ScreenText } from './screen-text.ts';

/** What the line shows of a write, or of a reading back. */
export type Shown = Pick<WriteProgress, 'bytesWritten' | 'totalBytes' | 'bytesPerSecond' | 'etaMs'> & {
  progress: number;
  /** A phase, or what else it is doing. */
  phase: string;
  /** What it waits for. */
  note?: string;
};

/** Shows how a write goes on until it is ended. */
export interface ProgressLine {
  /** Shows `shown` for the file `title`. */
  update(title: string, shown: Shown): void;
  /** Shows a state without figures ("waiting for a host"). */
  state(title: string, text: string): void;
  /** Prints a line that stays, beside the progress. */
  note(text: string): void;
  /** Removes the line; it can be used again. */
  clear(): void;
}

const BAR_WIDTH_MIN = 8;
const BAR_WIDTH_MAX = 32;
const TITLE_WIDTH_MIN = 12;
/** Between two lines of a write without a terminal: often enough to see that it goes on, seldom enough for a log. */
export const PLAIN_EVERY_MS = 3000;
export const PLAIN_STATE_AFTER_MS = 1000;

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/**
 * Of a waiting write without a note: its thread starts, or has other writes first. (If it waits for row memory, a note
 * says so.)
 */
const WAITING = 'waiting for its thread';

/** A bar of `width` characters, drawn to an eighth of one. */
export function bar(fraction: number, width: number): string {
  const eighths = Math.floor(Math.min(1, Math.max(0, fraction)) * width * 8);
  const whole = Math.floor(eighths / 8);
  const drawn = '█'.repeat(whole) + (EIGHTHS[eighths % 8] ?? '');
  return drawn.padEnd(width, '░');
}

/** The figures of a write: "58%  594.00 MiB of 1.00 GiB  1902 MiB/s  0:01 left". */
export function figuresOf(shown: Shown): string {
  const written = formatBytes(shown.bytesWritten);
  // Of bytes that arrive nobody knows how many there will be.
  const endless = shown.totalBytes < shown.bytesWritten;
  const parts = endless
    ? [written, formatRate(shown.bytesPerSecond)]
    : [
        `${String(Math.floor(shown.progress)).padStart(3)}%`,
        `${written} of ${formatBytes(shown.totalBytes)}`,
        formatRate(shown.bytesPerSecond),
      ];
  if (endless && shown.phase === 'writing') return parts.join('  ');
  if (shown.phase === 'writing') parts.push(shown.etaMs === null ? '-:-- left' : `${formatClock(shown.etaMs)} left`);
  else parts.push(shown.phase === 'waiting' ? (shown.note ?? WAITING) : shown.phase);
  return parts.join('  ');
}

/** One line of at most `columns` characters: the title gives way first, then the bar; the figures stay. */
export function terminalLine(title: string, shown: Shown, columns: number, hasColors: boolean): ScreenText {
  const figures = escapeControls(figuresOf(shown)); // what it waits for is text of a host
  const room = columns - figures.length - 4; // two gaps of two
  const name = escapeControls(title);
  const titleWidth = Math.min(name.length, Math.max(TITLE_WIDTH_MIN, room - BAR_WIDTH_MAX));
  const barWidth = Math.min(BAR_WIDTH_MAX, room - titleWidth);
  const shownTitle = shortenMiddle(name, titleWidth);
  if (barWidth < BAR_WIDTH_MIN) {
    return ScreenText.line(shortenMiddle(`${shownTitle}  ${figures.trimStart()}`, columns));
  }
  const drawn = ScreenText.painted('cyan', bar(shown.progress / 100, barWidth), hasColors);
  return ScreenText.joined([shownTitle, drawn, figures], '  ');
}

/** Drawn anew on a terminal; elsewhere a plain line now and then. */
export async function createProgressLine(): Promise<ProgressLine> {
  return noteScreen().isTTY ? terminalProgress() : plainProgress(sayLine);
}

/** A progress line that shows nothing but its notes. */
export function silentProgress(note: (text: string) => void): ProgressLine {
  return { update: () => {}, state: () => {}, note, clear: () => {} };
}

async function terminalProgress(): Promise<ProgressLine> {
  const live = await liveLine();
  const { hasColors } = noteScreen();
  return {
    update: (title, shown) => live.draw(terminalLine(title, shown, noteScreen().columns, hasColors)),
    state: (title, text) => {
      live.draw(ScreenText.line(shortenMiddle(escapeControls(`${title}  ${text}`), noteScreen().columns)));
    },
    note: (text) => live.persist(ScreenText.lines(text, '  ')),
    clear: () => live.clear(),
  };
}

/** Exported for its test: `now` is in milliseconds. */
export function plainProgress(
  write: (text: ScreenText) => void,
  now: () => number = () => performance.now(),
): ProgressLine {
  let lastAt = now();
  let lastState = '';
  let lasting: NodeJS.Timeout | undefined;
  const line = (text: ScreenText): void => {
    lastAt = now();
    write(text);
  };
  const leaveState = (): void => {
    clearTimeout(lasting);
    lastState = '';
  };
  return {
    update: (title, shown) => {
      leaveState();
      if (now() - lastAt >= PLAIN_EVERY_MS) line(ScreenText.line(`${title}  ${figuresOf(shown).trimStart()}`));
    },
    state: (title, text) => {
      const state = `${title}  ${text}`;
      if (state === lastState) return;
      leaveState();
      lastState = state;
      // Reported once it lasts: most states are passed through in no time.
      lasting = setTimeout(line, PLAIN_STATE_AFTER_MS, ScreenText.line(state));
    },
    note: (text) => line(ScreenText.lines(text, '  ')),
    clear: leaveState,
  };
}
