/** The error of a host whose name another living host has. */
import type { HostProcess } from './record.ts';

/** Another living host has the name: writes for that host alone would land on the disks of either. */
export class TwinHostError extends Error {
  override readonly name: string = 'TwinHostError';
  readonly code = 'ETWINHOST';
  readonly hint: string;
  /** null: a host of an earlier version, which does not say. */
  readonly twin: HostProcess | null;

  constructor(host: string, twin: HostProcess | null) {
    const who = twin === null ? 'a host of an earlier version' : `process ${twin.pid} on machine ${twin.machine}`;
    const hint = 'Give each host a --name of its own, or stop one of them.';
    super(`Another host is called '${host}': ${who}. ${hint}`);
    this.hint = hint;
    this.twin = twin;
  }
}
