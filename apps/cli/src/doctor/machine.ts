/** The machine: kernel, libaio, AIO contexts, huge pages. */
import { readFileSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import { type OpenedEngine, libaioPort, openEngine } from '@penstock/aio';
import { formatBytes, isAtLeast, toWire } from '@penstock/contract';
import { type Finding, broken, fail, ok, warn } from './finding.ts';

const OPENAT2_SINCE = [5, 6] as const;
const DIOALIGN_SINCE = [6, 1] as const;
/** A host of four threads with the default depth and as much again for the threads that replace dead ones. */
const CONTEXT_DEPTH = 64;
const ROOM_WANTED = 8 * CONTEXT_DEPTH;

export function checkKernel(kernel: string = release()): Finding {
  const what = 'kernel';
  const found = `${platform()} ${kernel} on ${arch()}`;
  if (!isAtLeast(kernel, OPENAT2_SINCE)) {
    return warn(
      what,
      `${found}: no openat2`,
      'symbolic links below roots are refused one and all; Linux 5.6 follows those that stay inside',
    );
  }
  if (!isAtLeast(kernel, DIOALIGN_SINCE)) {
    return warn(
      what,
      `${found}: statx does not tell alignments`,
      'a page is assumed, which suits every disk; Linux 6.1 tells exactly',
    );
  }
  return ok(what, found);
}

/** Which library carries AIO; `file` is the one that set-up found. */
function checkLibaio(file: string | undefined): Finding {
  const what = 'libaio';
  if ((libaioPort(file) ?? libaioPort()) === null) {
    return warn(
      what,
      'none can be loaded; raw system calls are used, as fast',
      'to have it: apt-get install libaio1 (libaio1t64 on Debian 13 and Ubuntu 24.04), dnf install libaio',
    );
  }
  return ok(what, loadedLibrary(readFileSync('/proc/self/maps', 'utf8')) ?? 'loaded');
}

/** The path of the libaio that this process has mapped. */
export function loadedLibrary(maps: string): string | undefined {
  return /\s(\/\S*libaio\.so\S*)/.exec(maps)?.[1];
}

/** Opens what a writer thread would open, with the same trial; what the limits say beside it. */
export function checkAio(file: string | undefined): Finding {
  const what = 'kernel AIO';
  const { inUse, limit } = contextLimits();
  const limits = `fs.aio-nr ${inUse} of fs.aio-max-nr ${limit}`;
  const raise = 'stop what holds them, or raise the limit: sysctl -w fs.aio-max-nr=1048576';
  let opened: OpenedEngine;
  try {
    opened = openEngine({ choice: 'auto', depth: CONTEXT_DEPTH, libaio: file });
  } catch (error) {
    const { code, message } = toWire(error);
    if (code === 'EAGAIN') return fail(what, `no context can be had: ${limits}`, raise);
    return fail(what, message, raise);
  }
  const { engine, reason } = opened;
  engine.destroy();
  if (engine.port.name === 'positional') {
    return warn(
      what,
      reason ?? 'positional',
      'plain positional writes are used instead, correct and slower; is this a container whose seccomp filter forbids these calls?',
    );
  }
  if (limit - inUse < ROOM_WANTED) return warn(what, `works, but hardly any requests are left: ${limits}`, raise);
  const way = engine.port.name === 'libaio' ? 'libaio' : 'system calls';
  return ok(what, `a write went through ${way}; ${limits}${reason === undefined ? '' : `; ${reason}`}`);
}

function contextLimits(): { inUse: number; limit: number } {
  const read = (name: string): number => Number(readFileSync(`/proc/sys/fs/${name}`, 'latin1'));
  return { inUse: read('aio-nr'), limit: read('aio-max-nr') };
}

const THP_FILE = '/sys/kernel/mm/transparent_hugepage/enabled';

/** Whether rows can lie on huge pages; `enabled` is the kernel's file, like "always [madvise] never". */
export function checkHugePages(
  enabled: string = readOrEmpty(THP_FILE),
  memInfo: string = readOrEmpty('/proc/meminfo'),
): Finding {
  const what = 'huge pages';
  const setting = /\[(\w+)\]/.exec(enabled)?.[1];
  const remedy = `a third of the speed of large rows depends on it: echo madvise > ${THP_FILE}`;
  if (setting === undefined)
    return warn(
      what,
      'this kernel has no transparent huge pages',
      'large rows are written about a quarter slower; another kernel has them',
    );
  if (setting === 'never') return warn(what, 'transparent huge pages are off (never)', remedy);
  const bytes = Number(/^Hugepagesize:\s+(\d+) kB/m.exec(memInfo)?.[1] ?? 2048) * 1024;
  return ok(what, `transparent, on advice or always (${setting}), ${formatBytes(bytes)} each`);
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

/** The machine's findings, each check on its own: one that cannot be carried out does not hide the others. */
export function checkMachine(libaioFile: string | undefined): Finding[] {
  const checks: [string, () => Finding][] = [
    ['kernel', () => checkKernel()],
    ['libaio', () => checkLibaio(libaioFile)],
    ['kernel AIO', () => checkAio(libaioFile)],
    ['huge pages', () => checkHugePages()],
  ];
  return checks.map(([what, check]) => {
    try {
      return check();
    } catch (error) {
      return broken(what, error, 'the check itself could not be carried out');
    }
  });
}
