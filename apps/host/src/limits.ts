/** The byte-rate limits of a host and its roots: what its settings say, unless the queue says otherwise. */
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

  /** What the queue says from now on. */
  take(standing: StandingLimits): void {
    const { roots, limitBytesPerSecond, rootLimits } = this.#settings;
    change(this.#rates.host, standing.host ?? limitBytesPerSecond);
    for (const [index, { name }] of roots.entries())
      change(this.#rates.roots[index]!, standing.roots[name] ?? rootLimits[name] ?? 0);
  }

  /** What holds for a write to `root` whose job's own limit is `job`: the lowest; 0 where there is none. */
  effective(root: string, job: RateCell): number {
    const index = this.#settings.roots.findIndex(({ name }) => name === root);
    const all = [job, this.#rates.host, ...this.#rates.roots.slice(index, index + 1)]
      .map(({ bytesPerSecond }) => bytesPerSecond)
      .filter((rate) => rate > 0);
    return all.length === 0 ? 0 : Math.min(...all);
  }
}

/** What is set anew counts from now: what stays as it was is left alone. */
function change(cell: RateCell, bytesPerSecond: number): void {
  if (cell.bytesPerSecond !== bytesPerSecond) cell.set(bytesPerSecond);
}
