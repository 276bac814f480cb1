import { expect, test } from '@jest/globals';
import { DeviceFlow, DeviceFlows } from './device-flow.ts';

const MIB = 1_048_576;

/** A device in a time of its own: it does one request after the other, each after `delayMs`, at a rate that may change. */
class Device {
  now = 5000;
  /** The most that was in flight, by the time that the device took for it. */
  longestMs = 0;
  mostBytes = 0;
  moved = 0;
  readonly flow = new DeviceFlow();
  readonly #line: { bytes: number; begunAt: number }[] = [];
  #doneAt = 0;

  /** Has as much in flight as the flow and `depth` allow, in rows of `rowBytes`, for `ms`. */
  run(ms: number, bytesPerSecond: number, { rowBytes = MIB, depth = 32, delayMs = 0 } = {}): void {
    const until = this.now + ms;
    while (this.now < until) {
      while (this.#line.length < depth) {
        const piece = this.flow.admit(4096, this.now);
        if (piece === 0) break;
        const bytes = Math.min(rowBytes, piece);
        this.flow.begin(bytes);
        this.#line.push({ bytes, begunAt: this.now });
      }
      this.mostBytes = Math.max(this.mostBytes, this.flow.inFlightBytes);
      const { bytes, begunAt } = this.#line.shift()!;
      this.#doneAt = Math.max(this.#doneAt, begunAt) + (bytes / bytesPerSecond) * 1000;
      this.now = Math.max(this.now, this.#doneAt + delayMs);
      this.longestMs = Math.max(this.longestMs, this.now - begunAt);
      this.moved += bytes;
      this.flow.cameBack(bytes, this.now - begunAt, this.now);
      this.flow.end(bytes, this.now);
    }
  }

  rest(ms: number): void {
    for (const { bytes } of this.#line.splice(0)) this.flow.end(bytes, this.now);
    this.now += ms;
  }
}

test.each([2, 5, 10, 20, 60])(
  'what is in flight on a disk of %d MiB/s is done within a second at any moment',
  (rate) => {
    for (const rowBytes of [4096, 65_536, MIB, 8 * MIB, 64 * MIB]) {
      const device = new Device();
      device.run(20_000, rate * MIB, { rowBytes });
      expect(device.longestMs).toBeLessThan(800);
      expect(device.mostBytes / (rate * MIB)).toBeLessThan(0.8);
      expect(device.moved).toBeGreaterThan(19.9 * rate * MIB);
    }
  },
);

test('a disk that becomes slow is found out with what was in flight, and one that becomes fast again as well', () => {
  const device = new Device();
  device.run(1000, 200 * MIB);
  expect(device.flow.limitBytes).toBeGreaterThan(32 * MIB);
  device.run(20_000, 2 * MIB);
  expect(device.flow.limitBytes).toBeLessThan(MIB);
  device.longestMs = 0;
  device.run(5000, 2 * MIB);
  expect(device.longestMs).toBeLessThan(600);
  device.run(1000, 2000 * MIB);
  expect(device.flow.limitBytes).toBeGreaterThan(32 * MIB);
});

test('a fast disk is at its depth after three times around, and never held back after', () => {
  const device = new Device();
  device.run(30, 2000 * MIB);
  expect(device.mostBytes).toBe(32 * MIB);
  const slow = new Device();
  slow.run(5, 2000 * MIB);
  expect(slow.mostBytes).toBeGreaterThan(16 * MIB);
  // Nor after a moment in which the process, or the whole machine, stood still.
  device.rest(0);
  device.flow.begin(MIB);
  device.now += 10_000;
  device.flow.cameBack(MIB, 10_000, device.now);
  device.flow.end(MIB, device.now);
  device.mostBytes = 0;
  device.run(30, 2000 * MIB);
  expect(device.mostBytes).toBe(32 * MIB);
});

test('a disk that has rested is carefully begun with again', () => {
  const device = new Device();
  device.run(100, 2000 * MIB);
  device.rest(900);
  device.flow.admit(4096, device.now);
  expect(device.flow.limitBytes).toBeGreaterThan(32 * MIB);
  device.rest(10_000);
  device.mostBytes = 0;
  device.longestMs = 0;
  device.run(10_000, 2 * MIB);
  expect(device.longestMs).toBeLessThan(800);
});

test('a rest counts once, however often a row is admitted before one begins', () => {
  const device = new Device();
  device.run(100, 2000 * MIB);
  const before = device.flow.limitBytes;
  device.rest(1500);
  for (let count = 0; count < 5; count += 1) device.flow.admit(4096, device.now);
  expect(device.flow.limitBytes).toBe(Math.floor(before / 2));
});

test('something may always go where nothing is in flight, in pieces that the alignment allows', () => {
  const device = new Device();
  device.run(60_000, 65_536);
  device.rest(0);
  expect(device.flow.admit(4096, device.now) % 65_536).toBe(0);
  expect(device.flow.admit(4_194_304, device.now)).toBe(4_194_304);
  expect(device.flow.inFlightBytes).toBe(0);
});

test('each device has a flow of its own, however many files of it are written', () => {
  const flows = new DeviceFlows();
  expect(flows.of('8:1:0.17')).toBe(flows.of('8:1:0.18'));
  expect(flows.of('8:1:0.17')).not.toBe(flows.of('8:17:0.17'));
});
