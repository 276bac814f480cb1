/** Which of the other hosts can use a root that this one cannot. */
import type { HostRecord } from '../hosts/record.ts';
import { type HashClient, readHosts } from '../hosts/registry.ts';

/** How old what is known of the other hosts may be. */
const KNOWN_MS_MAX = 1000;

export class OtherHosts {
  readonly #client: HashClient;
  readonly #registryKey: string;
  readonly #host: string;
  #known: readonly HostRecord[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** @param host the name of this one */
  constructor(client: HashClient, registryKey: string, host: string) {
    this.#client = client;
    this.#registryKey = registryKey;
    this.#host = host;
  }

  /** Whether another host, seen lately, can use `root`. */
  async canUse(root: string): Promise<boolean> {
    if (performance.now() - this.#readAtMs > KNOWN_MS_MAX) {
      this.#known = await readHosts(this.#client, this.#registryKey);
      this.#readAtMs = performance.now();
    }
    return this.#known.some(
      ({ name, state, sickRoots }) => name !== this.#host && state === 'running' && !sickRoots.includes(root),
    );
  }
}
