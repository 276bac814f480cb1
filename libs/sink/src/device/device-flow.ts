/**
 * How much one thread has in flight on one device: about as much as the device carries out in half a second, as it is
 * measured from what comes back. A cancel, a pause or a stop waits for what is in flight, so this is how long that takes;
 * and a slow device does not get hold of the slots that a fast one could use.
 *
 * What comes back soon lets more go, two to four times as much each time around, until all that a thread can have in
 * flight is in flight; what comes back late sets the limit to what the device has done meanwhile. A fast disk is at its
 * depth after three times around, which are a few milliseconds, and is not held back after.
 */
import { performance } from 'node:perf_hooks';

/** Of a device not known yet, or not used lately: half a second of 2 MiB/s. */
const START_BYTES = 1_048_576;
/** The slowest device that is kept to half a second carries out 1 MiB/s. */
const LIMIT_BYTES_MIN = 524_288;
/** An iocb that was in flight for less lets more go: as much again as it moved, or three times as much. */
const SOON_MS = 200;
const AT_ONCE_MS = 50;
/** One that was in flight for longer lets less go. */
const LATE_MS = 400;
/** What may be in flight then, of the measured rate; the last iocb to go may be half as long again. */
const LIMIT_SECONDS = 0.3;
/** The rate is measured over so long, or a little longer. */
const SAMPLE_MS = 250;
/** What a device was let have is halved for each so long that it has rested. */
const HALVED_AFTER_MS = 1000;
/** The lengths of iocbs that are shortened are multiples of it: of every offset alignment that there is. */
const PIECE_GRAIN_BYTES = 65_536;

export class DeviceFlow {
  /** Bytes in flight, or about to be. */
  inFlightBytes = 0;
  #limitBytes = START_BYTES;
  /** Something has come back late, and the limit has not been raised far since. */
  #isSlow = false;
  /** Since when the rate is measured, and what has come back since. */
  #sampleSinceMs = 0;
  #sampleBytes = 0;
  /** Bytes a second, as measured last; 0 before. */
  #rate = 0;
  #restsSinceMs = Number.NEGATIVE_INFINITY;

  /** Bytes that may be in flight; the iocb that passes the limit is the last to go. */
  get limitBytes(): number {
    return this.#limitBytes;
  }

  /** The longest iocb that may go now, a multiple of `alignBytes`; 0: none, before another has come back. */
  admit(alignBytes: number, now?: number): number {
    if (this.inFlightBytes >= this.#limitBytes) return 0;
    if (this.inFlightBytes === 0) this.#begin(now ?? performance.now());
    const grain = Math.max(PIECE_GRAIN_BYTES, alignBytes);
    // Of a slow one two at least, so that the device has the next one before the last has come back.
    const longest = this.#isSlow ? this.#limitBytes / 2 : Math.max(START_BYTES, this.#limitBytes / 2);
    return Math.max(grain, Math.floor(longest / grain) * grain);
  }

  #begin(now: number): void {
    this.#sampleSinceMs = now;
    this.#sampleBytes = 0;
    const halvings = Math.floor((now - this.#restsSinceMs) / HALVED_AFTER_MS);
    if (halvings === 0) return;
    this.#restsSinceMs = now; // a row that is admitted may not begin yet, and is admitted again
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

  /** They are in flight no more. */
  end(bytes: number, now?: number): void {
    this.inFlightBytes -= bytes;
    if (this.inFlightBytes === 0) this.#restsSinceMs = now ?? performance.now();
  }

  /** An iocb has come back at `now`, with `bytes` that it moved. To be called before end(). */
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

/** The devices that a thread writes to and reads from. */
export class DeviceFlows {
  readonly #byDevice = new Map<string, DeviceFlow>();

  /** Of the device of a file, by the file's `identity` (device and inode). */
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
