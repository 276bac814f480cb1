import { describe, expect, test } from '@jest/globals';
import { QueueKeys } from 'bullmq';
import { idForHost, QUEUE_NAME, queueNameOf, queueOfHost, TAKEN_IDS } from './names.ts';

describe('the queue of a job', () => {
  test('is told by its id', () => {
    expect(queueNameOf('1q9jvken2byc5')).toBe('penstock');
    expect(queueNameOf('1q9jvken2byc5@disk-3')).toBe('penstock-disk-3');
    expect(queueNameOf('nightly@v2@disk.3')).toBe('penstock-disk.3');
  });

  test('is that of any host where the id names none', () => {
    for (const id of ['a@', 'a@any', 'a@b c', 'a@any:b', '7']) expect(queueNameOf(id)).toBe('penstock');
  });

  test.each([undefined, 'any', 'disk-3'])('is found again from the id made for target %s', (host) => {
    expect(queueNameOf(idForHost('nightly', host))).toBe(queueOfHost(host));
  });
});

describe('an id of the producer', () => {
  test('is none of the keys that this BullMQ has', () => {
    expect([...TAKEN_IDS].toSorted()).toEqual(Object.keys(new QueueKeys().getKeys(QUEUE_NAME)).toSorted());
  });

  test('that names the host already stays as it is', () => {
    expect(idForHost('nightly@disk-3', 'disk-3')).toBe('nightly@disk-3');
  });

  test.each([undefined, 'any', 'disk-4'])('that names another host than target %s is refused', (host) => {
    expect(() => idForHost('nightly@disk-3', host)).toThrow(expect.objectContaining({ field: 'jobId' }));
  });

  test.each(['', 'wait', 'meta', 'completed', 'events', '7', 'a:b'])(
    'that BullMQ has for itself is refused: "%s"',
    (id) => {
      for (const host of [undefined, 'disk-3']) {
        expect(() => idForHost(id, host)).toThrow(expect.objectContaining({ field: 'jobId' }));
      }
    },
  );
});
