/** A host for people: as a row among others, and alone with all that is known of it. */
import { formatBytes } from '@penstock/contract';
import type { HostRecord, HostRoot, HostVitals } from '@penstock/queue';
import { formatMicroseconds, formatRate, formatSeconds, formatTime } from '../terminal/figures.ts';
import type { ScreenText } from '../terminal/screen-text.ts';
import { type Column, drawTable } from '../terminal/table-text.ts';

/** What a host of an earlier version does not report. */
const UNKNOWN = '-';

const COLUMNS: readonly Column[] = [
  { heading: 'host' },
  { heading: 'state' },
  { heading: 'writes', alignment: 'right' },
  { heading: 'rate', alignment: 'right' },
  { heading: 'p50, p99' },
  { heading: 'row memory', alignment: 'right' },
  { heading: 'roots' },
];

/** In the order of `hosts`. */
export function hostTable(hosts: readonly HostRecord[]): ScreenText {
  return drawTable(COLUMNS, hosts.map(rowOf), false);
}

function rowOf(host: HostRecord): (string | string[])[] {
  const { name, vitals } = host;
  const state = stateOf(host);
  if (vitals === null) return [name, state, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN];
  // What a host did last is not what it does.
  const now = host.alive ? nowOf(vitals) : [UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN];
  return [name, state, ...now, vitals.roots.map((root) => rootLine(root, host.sickRoots))];
}

function nowOf(vitals: HostVitals): string[] {
  return [
    `${vitals.running} of ${vitals.runningMax}`,
    formatRate(vitals.bytesPerSecond),
    latencyOf(vitals),
    `${formatBytes(vitals.memoryUsedBytes)} of ${formatBytes(vitals.memoryBytes)}`,
  ];
}

function stateOf({ state, seenAtMs, startedAtMs }: HostRecord): string {
  if (state !== 'silent' && state !== 'stopped') return state;
  return `${state}, last seen ${formatTime(seenAtMs || startedAtMs)}`;
}

function latencyOf({ writeLatencyUs }: HostVitals): string {
  if (writeLatencyUs === null) return UNKNOWN;
  return `${formatMicroseconds(writeLatencyUs.p50)}, ${formatMicroseconds(writeLatencyUs.p99)}`;
}

function rootLine({ name, writable, freeBytes }: HostRoot, sick: readonly string[]): string {
  if (sick.includes(name)) return `${name}: cannot be used`;
  if (!writable) return `${name}: read only`;
  return freeBytes === null ? name : `${name}: ${formatBytes(freeBytes)} free`;
}

/** All that is known of one host, a line for each thing. */
export function describeHost(host: HostRecord): string[] {
  const { name, process: where, vitals, twin } = host;
  const lines = [`${name}: ${stateOf(host)}`];
  const line = (what: string, text: string): void => void lines.push(`  ${what.padEnd(14)} ${text}`);
  if (where !== null) line('process', `${where.pid} on ${where.machine}`);
  line('started', formatTime(host.startedAtMs));
  if (twin !== null) line('twin', `process ${twin.pid} on ${twin.machine} has this name too`);
  if (vitals === null) {
    line('version', 'an earlier one, which reports no more');
    return lines;
  }
  line('version', vitals.version);
  line(
    'threads',
    `${vitals.threads} of ${vitals.threadsMax}, depth ${vitals.depth}, ${vitals.jobs} writes on each, ${vitals.aioContexts} AIO contexts`,
  );
  line('writes', `${vitals.running} running, ${vitals.inFlight} iocbs in flight, ${formatRate(vitals.bytesPerSecond)}`);
  line(
    'write latency',
    latencyOf(vitals) === UNKNOWN ? 'nothing was written lately' : `p50, p99: ${latencyOf(vitals)}`,
  );
  line('row memory', `${formatBytes(vitals.memoryUsedBytes)} of ${formatBytes(vitals.memoryBytes)}`);
  line('main thread', `${vitals.eventLoopDelayMs} ms late at most`);
  if (vitals.lastError !== null)
    line('last error', `${vitals.lastError.message} (${formatSeconds(vitals.lastError.agoMs)} before)`);
  for (const root of vitals.roots) line(`root ${root.name}`, describeRoot(root, host.sickRoots.includes(root.name)));
  return lines;
}

function describeRoot(root: HostRoot, isSick: boolean): string {
  const { path, writable, fileSystem, source, device, tags, freeBytes, totalBytes, direct, calibrated } = root;
  const parts = [path];
  if (isSick) parts.push('cannot be used now');
  if (!writable) parts.push('read only');
  if (fileSystem !== null) parts.push(`${fileSystem} on ${source}`);
  if (device !== null) parts.push(`device ${device}${tags === null ? '' : ` with ${tags} tags`}`);
  if (freeBytes !== null)
    parts.push(`${formatBytes(freeBytes)} free${totalBytes ? ` of ${formatBytes(totalBytes)}` : ''}`);
  parts.push(direct ? 'direct I/O' : 'through the page cache');
  if (calibrated) parts.push('calibrated');
  return parts.join(', ');
}
