/** The byte-rate limits of a host and its roots: those of the queue, else those of its settings. */
import type { HostSettings } from '@penstock/config';
import type { RateCell, RateTable } from '@penstock/matrix';
import type { StandingLimits } from '@penstock/queue';

export class HostLimits {
  readonly #rates: RateTable;
  readonly #settings: Pick<HostSettings, 'roots' | 'limitBytesPerSecond' | 'rootLimits'>;

  constructor(rates: RateTable, settings: Pick<HostSettings, 'roots' | 'limitBytesPerSecond' | 'rootLimits'>) {
    this.#rates = rates;
    this.#settings = settings;
    this.take({ roots: {} });
  }

  /** Takes the limits that the queue has from now on. */
  take(standing: StandingLimits): void {
    const { roots, limitBytesPerSecond, rootLimits } = this.#settings;
    change(this.#rates.host, standing.host ?? limitBytesPerSecond);
    for (const [index, { name }] of roots.entries())
      change(this.#rates.roots[index]!, standing.roots[name] ?? rootLimits[name] ?? 0);
  }

  /** The limit of a write to `root` whose job has the limit `job`, in bytes per second: the lowest of all; 0 for none. */
  effective(root: string, job: RateCell): number {
    const index = this.#settings.roots.findIndex(({ name }) => name === root);
    const all = [job, this.#rates.host, ...this.#rates.roots.slice(index, index + 1)]
      .map(({ bytesPerSecond }) => bytesPerSecond)
      .filter((rate) => rate > 0);
    return all.length === 0 ? 0 : Math.min(...all);
  }
}

/** Setting a limit restarts its count, so one that has not changed is left alone. */
function change(cell: RateCell, bytesPerSecond: number): void {
  if (cell.bytesPerSecond !== bytesPerSecond) cell.set(bytesPerSecond);
}
