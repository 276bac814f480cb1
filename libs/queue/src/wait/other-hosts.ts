/** Which of the other hosts can use a root that this one cannot. */
import { type HashClient, type HostRecord, readHosts } from '../host-registry.ts';

/** A host whose record is older counts as gone: hosts renew it four times a minute, by their own clocks. */
const SEEN_MS_MAX = 120_000;
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
    const sinceMs = Date.now() - SEEN_MS_MAX;
    return this.#known.some(
      ({ name, seenAtMs, sickRoots }) => name !== this.#host && seenAtMs > sinceMs && !sickRoots.includes(root),
    );
  }
}
