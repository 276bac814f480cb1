// The locks of running jobs, held as leases: whoever cannot renew one in time must assume that it is lost.
//
// BullMQ's own renewal is not used. It is keyed by job alone, so that a job taken up again in the process that lost it
// has its renewal ended by the end of the old run; and while Redis is away it learns nothing until Redis is back,
// when another host may long have been writing the same file.

export interface LeasesOptions {
  /** How long Redis keeps a lock that is not renewed. */
  durationMs: number;
  /** Renews the locks; resolves with the jobs whose locks are gone or another's. */
  extend: (jobIds: string[], tokens: string[], durationMs: number) => Promise<string[]>;
  onError: (error: unknown) => void;
}

export interface Lease {
  /** Why the lock is lost, or null while it is held. */
  readonly lost: 'taken' | 'expired' | null;
  /** Resolves when it is lost; never if it is released before. */
  readonly loss: Promise<void>;
  /** Declares it lost: the job turned up in other hands. Without effect once it is lost or released. */
  lose(why: 'taken' | 'expired'): void;
  /** True while the lock is surely held. Asks the clock: after a stop of the process its timers fire in any order. */
  readonly held: boolean;
  /** Ends the renewal, for a job that has ended. */
  release(): void;
}

/** Two renewals may fail before a lease runs out. */
const renewalsPerLease = 3;

export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Set<HeldLease>();
  #timer: NodeJS.Timeout | null = null;
  #renewing = false;

  constructor(o: LeasesOptions) {
    this.#options = o;
  }

  /** Keeps the lock of a job that was taken `ageMs` ago with `token`. `onLoss` is called once if it is lost. */
  keep(jobId: string, token: string, ageMs: number, onLoss: () => void): Lease {
    const { durationMs } = this.#options;
    const lease = new HeldLease(jobId, token, onLoss, (gone) => this.#forget(gone));
    this.#held.add(lease);
    lease.extendTo(performance.now() - ageMs + durationMs);
    this.#timer ??= setInterval(() => void this.#renew(), durationMs / renewalsPerLease);
    return lease;
  }

  #forget(lease: HeldLease): void {
    this.#held.delete(lease);
    if (this.#held.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

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
  readonly loss: Promise<void>;
  lost: 'taken' | 'expired' | null = null;
  readonly #onLoss: () => void;
  readonly #forget: (lease: HeldLease) => void;
  #announce: () => void = () => {};
  #expiry: NodeJS.Timeout | undefined;
  #validUntil = 0;
  #ended = false;

  constructor(jobId: string, token: string, onLoss: () => void, forget: (lease: HeldLease) => void) {
    this.jobId = jobId;
    this.token = token;
    this.#onLoss = onLoss;
    this.#forget = forget;
    this.loss = new Promise((resolve) => {
      this.#announce = resolve;
    });
  }

  /** `time` is of performance.now(). */
  extendTo(time: number): void {
    if (this.#ended) return;
    clearTimeout(this.#expiry);
    this.#validUntil = time;
    this.#expiry = setTimeout(() => this.lose('expired'), Math.max(0, time - performance.now()));
  }

  get held(): boolean {
    if (!this.#ended && performance.now() > this.#validUntil) this.lose('expired');
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
    clearTimeout(this.#expiry);
    this.#forget(this);
  }
}
