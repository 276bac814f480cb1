/** Durations as people write them: "90s", "10min", "1.5h". */
const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  min: 60_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** What parseDuration takes, in words that follow "Give". */
export const DURATION_ACCEPTED = 'a duration like 90s, 10min, 1h or 2d, or 0';

/** Milliseconds of `text`; null if it is no duration: only 0 may go without its unit. */
export function parseDuration(text: string): number | null {
  if (/^0+$/.test(text)) return 0;
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim()) ?? [];
  const unitMs = Object.hasOwn(UNITS_MS, unit) ? UNITS_MS[unit] : undefined;
  return unitMs === undefined ? null : Math.round(Number(amount) * unitMs);
}

/** The shortest text that parseDuration takes for `ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0';
  for (const unit of ['d', 'h', 'min', 's']) {
    const unitMs = UNITS_MS[unit] ?? 1;
    if (ms % unitMs === 0) return `${ms / unitMs}${unit}`;
  }
  return `${ms}ms`;
}
