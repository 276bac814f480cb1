/**
 * Limits how much one thread has in flight on one device to about what the device completes in half a second, measured
 * from its completions. A cancel, a pause or a stop waits for what is in flight, so it takes about that long; and a slow
 * device does not occupy the slots that a fast one could use.
 *
 * A quick completion raises the limit, by two to four times per round, until the thread's whole queue depth is in flight; a
 * late one sets it to what the device has completed meanwhile. A fast disk reaches its depth after three rounds, a few
 * milliseconds, and is not held back after that.
 *
 * The decision: libs/README.md#bytes-in-flight.
 */
import { performance } from 'node:perf_hooks';

/** The limit of a device that is not known yet, or was not used lately: half a second at 2 MiB/s. */
const START_BYTES = 1_048_576;
/** The lowest limit: a device slower than 1 MiB/s takes longer than half a second. */
const LIMIT_BYTES_MIN = 524_288;
/** An iocb that took less than this raises the limit by the bytes it moved, or by three times those. */
const SOON_MS = 200;
const AT_ONCE_MS = 50;
/** An iocb that took longer than this lowers the limit. */
const LATE_MS = 400;
/** The lowered limit, in seconds at the measured rate; the iocb that passes the limit may add half as much. */
const LIMIT_SECONDS = 0.3;
/** The rate is measured over this time, or a little more. */
const SAMPLE_MS = 250;
/** The limit of an idle device is halved once per this time. */
const HALVED_AFTER_MS = 1000;
/** Shortened iocbs are multiples of this, which is a multiple of every offset alignment. */
const PIECE_GRAIN_BYTES = 65_536;

/** One thread's limit on one device. */
export class DeviceFlow {
  /** Bytes in flight, or about to be. */
  inFlightBytes = 0;
  #limitBytes = START_BYTES;
  /** An iocb has taken long, and the limit has not been raised far since. */
  #isSlow = false;
  /** When the measurement of the rate began, and the bytes completed since. */
  #sampleSinceMs = 0;
  #sampleBytes = 0;
  /** Bytes per second, as measured last; 0 before the first measurement. */
  #rate = 0;
  #idleSinceMs = Number.NEGATIVE_INFINITY;

  /** Bytes that may be in flight; the iocb that passes the limit is the last one submitted. */
  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** The longest iocb that may be submitted now, a multiple of `alignBytes`; 0: none until another completes. */
  admit(alignBytes: number, now?: number): number {
    if (this.inFlightBytes >= this.#limitBytes) return 0;
    if (this.inFlightBytes === 0) this.#begin(now ?? performance.now());
    const grain = Math.max(PIECE_GRAIN_BYTES, alignBytes);
    // On a slow device at least two fit into the limit, so that it has the next one before the last completes.
    const longest = this.#isSlow ? this.#limitBytes / 2 : Math.max(START_BYTES, this.#limitBytes / 2);
    return Math.max(grain, Math.floor(longest / grain) * grain);
  }

  #begin(now: number): void {
    this.#sampleSinceMs = now;
    this.#sampleBytes = 0;
    const halvings = Math.floor((now - this.#idleSinceMs) / HALVED_AFTER_MS);
    if (halvings === 0) return;
    this.#idleSinceMs = now; // an admitted row may not begin, and be admitted again
    this.#limitBytes = Math.floor(this.#limitBytes / 2 ** halvings);
    this.#rate = 0;
    if (this.#limitBytes > START_BYTES) return;
    this.#limitBytes = START_BYTES;
    this.#isSlow = false;
  }

  /** `bytes` count as in flight until end(). */
  begin(bytes: number): void {
    this.inFlightBytes += bytes;
  }

  /** `bytes` are no longer in flight. */
  end(bytes: number, now?: number): void {
    this.inFlightBytes -= bytes;
    if (this.inFlightBytes === 0) this.#idleSinceMs = now ?? performance.now();
  }

  /** An iocb has completed at `now`, and moved `bytes`. To be called before end(). */
  cameBack(bytes: number, latencyMs: number, now: number): void {
    this.#sampleBytes += bytes;
    const sampleMs = now - this.#sampleSinceMs;
    if (sampleMs >= SAMPLE_MS) {
      this.#rate = (this.#sampleBytes / sampleMs) * 1000;
      this.#sampleSinceMs = now;
      this.#sampleBytes = 0;
    }
    if (latencyMs > LATE_MS) {
      const limit = Math.max(LIMIT_BYTES_MIN, Math.floor(this.#rate * LIMIT_SECONDS));
      if (this.#rate === 0 || limit >= this.#limitBytes) return;
      this.#limitBytes = limit;
      this.#isSlow = true;
    } else if (latencyMs < SOON_MS && this.inFlightBytes * 2 >= this.#limitBytes) {
      this.#limitBytes += latencyMs < AT_ONCE_MS ? bytes * 3 : bytes;
      if (this.#limitBytes >= START_BYTES * 2) this.#isSlow = false;
    }
  }
}

/** The limits of one thread on all devices that it writes to and reads from. */
export class DeviceFlows {
  readonly #byDevice = new Map<string, DeviceFlow>();

  /** The limit on the device of a file, by the `identity` (device and inode) of any file on it. */
  of(identity: string): DeviceFlow {
    const device = identity.slice(0, identity.lastIndexOf(':'));
    let flow = this.#byDevice.get(device);
    if (flow === undefined) {
      flow = new DeviceFlow();
      this.#byDevice.set(device, flow);
    }
    return flow;
  }
}
