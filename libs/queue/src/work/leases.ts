/**
 * The locks of running jobs, held as leases: whoever cannot renew a lock in time must take it for lost.
 *
 * BullMQ's own renewal is not used. It is keyed by job alone: if this process takes up again a job whose lock it lost,
 * the end of the earlier attempt ends the renewal for the later one. And while Redis is away it learns nothing until
 * Redis is back, when another host may long have been writing the same file.
 */

export interface LeasesOptions {
  /** How long Redis keeps a lock that is not renewed. */
  durationMs: number;
  /** Renews the locks; resolves with the jobs whose locks are gone or belong to another worker. */
  extend: (jobIds: string[], tokens: string[], durationMs: number) => Promise<string[]>;
  onError: (error: unknown) => void;
}

export interface Lease {
  /** Why the lock is lost, or null while it is held. */
  readonly lost: 'taken' | 'expired' | null;
  /** Resolves when it is lost; never if it is released before. */
  readonly loss: Promise<void>;
  /** Declares it lost: the job was handed out again. Without effect once it is lost or released. */
  lose(why: 'taken' | 'expired'): void;
  /** True while the lock is surely held. Asks the clock: after a stop of the process its timers fire in any order. */
  readonly held: boolean;
  /** For how many milliseconds it is surely held, unless it is renewed. */
  readonly leftMs: number;
  /** Ends the renewal, for a job that has ended. */
  release(): void;
}

/** Two renewals may fail before a lease runs out. */
const RENEWALS_PER_LEASE = 3;

export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Set<HeldLease>();
  #renewal: NodeJS.Timeout | undefined;
  /** One timer for all leases: it is set for the first that runs out, and then for the next. */
  #expiry: NodeJS.Timeout | undefined;
  #expiryAt = Number.POSITIVE_INFINITY;
  #renewing = false;

  constructor(o: LeasesOptions) {
    this.#options = o;
  }

  /** Keeps the lock of a job that was taken `ageMs` ago with `token`. `onLoss` is called once if it is lost. */
  keep(jobId: string, token: string, ageMs: number, onLoss: () => void): Lease {
    const { durationMs } = this.#options;
    const lease = new HeldLease(jobId, token, performance.now() - ageMs + durationMs, onLoss, this.#forget);
    this.#held.add(lease);
    this.#renewal ??= setInterval(() => void this.#renew(), durationMs / RENEWALS_PER_LEASE);
    this.#watch(lease.validUntil);
    return lease;
  }

  /** Leases only grow longer, so a timer that is set for an earlier time serves a later one too. */
  #watch(time: number): void {
    if (time >= this.#expiryAt) return;
    clearTimeout(this.#expiry);
    this.#expiryAt = time;
    this.#expiry = setTimeout(() => this.#expire(), Math.max(0, time - performance.now()));
  }

  #expire(): void {
    this.#expiryAt = Number.POSITIVE_INFINITY;
    for (const lease of this.#held) if (lease.held) this.#watch(lease.validUntil);
  }

  readonly #forget = (lease: HeldLease): void => {
    this.#held.delete(lease);
    if (this.#held.size > 0) return;
    clearInterval(this.#renewal);
    clearTimeout(this.#expiry);
    this.#renewal = undefined;
    this.#expiryAt = Number.POSITIVE_INFINITY;
  };

  async #renew(): Promise<void> {
    // With Redis away the call waits in the client until it is back; a second one would only wait behind it.
    if (this.#renewing) return;
    this.#renewing = true;
    const leases = [...this.#held];
    const { durationMs } = this.#options;
    // Counted from before the call: Redis counts from when it gets it.
    const validUntil = performance.now() + durationMs;
    try {
      const gone = await this.#options.extend(
        leases.map(({ jobId }) => jobId),
        leases.map(({ token }) => token),
        durationMs,
      );
      const goneIds = new Set(gone);
      for (const lease of leases) {
        if (goneIds.has(lease.jobId)) lease.lose('taken');
        else lease.extendTo(validUntil);
      }
    } catch (error) {
      this.#options.onError(error);
    } finally {
      this.#renewing = false;
    }
  }
}

class HeldLease implements Lease {
  readonly jobId: string;
  readonly token: string;
  lost: 'taken' | 'expired' | null = null;
  /** In time of performance.now(). */
  validUntil: number;
  readonly #onLoss: () => void;
  readonly #forget: (lease: HeldLease) => void;
  #loss: Promise<void> | undefined;
  #announce: () => void = () => {};
  #ended = false;

  constructor(
    jobId: string,
    token: string,
    validUntil: number,
    onLoss: () => void,
    forget: (lease: HeldLease) => void,
  ) {
    this.jobId = jobId;
    this.token = token;
    this.validUntil = validUntil;
    this.#onLoss = onLoss;
    this.#forget = forget;
  }

  /** Made when it is first asked for: few jobs wait for it. */
  get loss(): Promise<void> {
    this.#loss ??= new Promise((resolve) => {
      this.#announce = resolve;
      if (this.lost !== null) resolve();
    });
    return this.#loss;
  }

  get leftMs(): number {
    return Math.max(0, this.validUntil - performance.now());
  }

  extendTo(time: number): void {
    if (!this.#ended) this.validUntil = time;
  }

  get held(): boolean {
    if (!this.#ended && performance.now() >= this.validUntil) this.lose('expired');
    return this.lost === null;
  }

  lose(why: 'taken' | 'expired'): void {
    if (this.#ended) return;
    this.lost = why;
    this.release();
    this.#announce();
    this.#onLoss();
  }

  release(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forget(this);
  }
}
