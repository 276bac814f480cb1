/** The ports that one suite runs over. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type PortName, faultyPort, libaioPort, positionalPort, syscallPort } from '@penstock/aio';
import { afterEach, describe, expect } from '@jest/globals';
import { type MakePort, closeBenches } from './bench.fixture.ts';

export interface PortKind {
  name: PortName;
  /** Real kernel AIO: contexts are mappings and are counted in fs.aio-nr. */
  kernel: boolean;
  /** A bad iocb is refused by submit itself; the positional port tells it by an event. */
  refuses: boolean;
  /** I/O goes on after submit has returned. */
  asynchronous: boolean;
  make: MakePort;
}

/** The libaio that set-up recorded, where it is not under its usual name. */
function recordedLibaio(): string | undefined {
  try {
    const record = readFileSync(fileURLToPath(new URL('../../.cache/native.json', import.meta.url)), 'utf8');
    return (JSON.parse(record) as { libaio?: string }).libaio;
  } catch {
    return undefined; // set-up never ran here: the usual names are tried
  }
}

const libaioFile = recordedLibaio();
const libaio = libaioPort(libaioFile) ?? libaioPort();

/** False in a sandbox that has no kernel AIO (gVisor, a seccomp filter). */
function kernelHasAio(): boolean {
  const port = syscallPort();
  const context = port.setup(1);
  if (context < 0) return context === -constants.errno.EAGAIN;
  port.destroy(context);
  return true;
}

const hasAio = kernelHasAio();

export const faultyKind: PortKind = {
  name: 'faulty',
  kernel: false,
  refuses: true,
  asynchronous: true,
  make: () => faultyPort({ seed: 1 }),
};
const positional: PortKind = {
  name: 'positional',
  kernel: false,
  refuses: false,
  asynchronous: false,
  make: () => positionalPort,
};
const libaioKind: PortKind = {
  name: 'libaio',
  kernel: true,
  refuses: true,
  asynchronous: true,
  make: () => libaio!,
};
const syscalls: PortKind = {
  name: 'syscalls',
  kernel: true,
  refuses: true,
  asynchronous: true,
  make: () => syscallPort(),
};

const kinds: readonly PortKind[] = [faultyKind, libaioKind, syscalls, positional];

/** Runs `suite` over every port of this machine that `which` wants; one that is not to be had is reported as skipped. */
export function describePorts(
  title: string,
  which: (kind: PortKind) => boolean,
  suite: (kind: PortKind) => void,
): void {
  for (const kind of kinds.filter((candidate) => which(candidate))) {
    const isMissing = (kind.kernel && !hasAio) || (kind.name === 'libaio' && libaio === null);
    const describeIt = isMissing ? describe.skip : describe;
    describeIt(`${title}: ${kind.name}`, () => {
      afterEach(() => {
        closeBenches();
        expect(mappedContexts()).toBe(0); // exact, and of this process alone, where fs.aio-nr counts the whole machine
      });
      suite(kind);
    });
  }
}

/** AIO contexts that this process has: the kernel maps a ring for each. */
export function mappedContexts(): number {
  return readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes('/[aio]')).length;
}

/** The arguments that let a child process make the same port. */
export const childPort = (kind: PortKind): string[] => [kind.name, ...(libaioFile === undefined ? [] : [libaioFile])];
