import { expect, test } from '@jest/globals';
import { otherBytes } from './integrity-error.fixture.ts';

test('an IntegrityError names the place, both sums and what to do', () => {
  expect(otherBytes('EINTEGRITY', true).message).toBe(
    "EINTEGRITY: the disk holds other bytes than were written, '/data/a\\nb' at 524288, 4096 bytes: " +
      'crc32c e3069283 was written, 00000000 was read back. See `dmesg`.',
  );
  expect(otherBytes('ECHECKSUM', false).message).toMatch(/crc32c e3069283 was expected, 00000000 came\./);
});
