/** Figures as people read them. */
import { formatBytes } from '@penstock/contract';

const MIB = 1_048_576;

/** A speed, always in MiB/s so that lines can be compared: "1902 MiB/s", "14.2 MiB/s", "0.35 MiB/s". */
export function formatRate(bytesPerSecond: number): string {
  const rate = bytesPerSecond / MIB;
  if (!Number.isFinite(rate)) return '-';
  return `${rate.toFixed(rate >= 100 || rate === 0 ? 0 : rate >= 10 ? 1 : 2)} MiB/s`;
}

/** Time left or passed, to the second: "0:07", "12:30", "1:02:03". */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const pad = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  const rest = `${hours > 0 ? pad(minutes) : minutes}:${pad(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** A moment, to the second, in the time zone of this machine: "2026-11-28 15:42:20". */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  const pad = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

/** How long something took: "0.42 s", "37 s", "3:05". */
export function formatSeconds(ms: number): string {
  if (ms < 9995) return `${(ms / 1000).toFixed(2)} s`;
  return ms < 119_500 ? `${Math.round(ms / 1000)} s` : formatClock(ms);
}

/** A latency: "85 us", "1.42 ms", "1.20 s". */
export function formatMicroseconds(us: number): string {
  if (us < 999.5) return `${Math.round(us)} us`;
  if (us < 999_500) return `${threeDigits(us / 1000)} ms`;
  return `${threeDigits(us / 1_000_000)} s`;
}

function threeDigits(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

/** "12 B", or "1.00 GiB (1073741824 bytes)" if the short form is rounded. */
export function formatExactBytes(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${formatBytes(bytes)} (${bytes} bytes)`;
}

/** `text` in at most `width` characters, cut in the middle: the ends of a path say more than its middle. */
export function shortenMiddle(text: string, width: number): string {
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  if (width <= 1) return '…'.slice(0, width);
  const tail = Math.ceil((width - 1) / 2);
  return `${characters.slice(0, width - 1 - tail).join('')}…${characters.slice(-tail).join('')}`;
}
