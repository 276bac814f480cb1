import { expect, test } from '@jest/globals';
import type { WriteResult } from '@penstock/contract';
import { parseJob, parseRequest } from '@penstock/contract/judging';
import type { ShardOutcome } from '@penstock/queue';
import { manifestOf, withManifest } from './manifest.ts';

const result = (more: Partial<WriteResult>): WriteResult =>
  ({ path: 'a', root: 'data', bytes: 1, durationsMs: {}, thread: 3, ...more }) as WriteResult;
const shards: ShardOutcome[] = [
  {
    id: '1',
    request: null,
    result: result({ checksum: { algorithm: 'crc32c', value: '01234567' }, offset: 7, fileBytes: 8, host: 'one' }),
  },
  {
    id: '2',
    request: parseJob({ size: 1, root: 'in', files: [{ path: 'b' }, { path: 'c', root: 'out' }] }),
    result: {
      items: [
        { path: 'b', bytes: 1 },
        { path: 'c', error: { name: 'IoError', code: 'ENOSPC', message: 'full', retryable: true } },
      ],
    } as never,
  },
  { id: '3', request: parseRequest({ path: 'd', size: 1 }), failedReason: 'EIO' },
  { id: '4', request: null, failedReason: 'gone' },
];

test('a manifest has of every file what lasts, and nothing of the attempt that wrote it', () => {
  expect(JSON.parse(manifestOf(shards))).toEqual([
    {
      path: 'a',
      root: 'data',
      bytes: 1,
      checksum: { algorithm: 'crc32c', value: '01234567' },
      offset: 7,
      fileBytes: 8,
      host: 'one',
    },
    { path: 'b', root: 'in', bytes: 1 },
    { path: 'c', root: 'out', error: { code: 'ENOSPC', message: 'full' } },
    { path: 'd', root: 'data', error: { message: 'EIO' } },
    { path: '(of job 4, which is not kept)', error: { message: 'gone' } },
  ]);
});

test('the manifest becomes the bytes of the request; any other request stays as it is', async () => {
  const job = { shards: async () => shards };
  const asked = parseRequest({ path: 'm.json', source: { kind: 'manifest', shards: 4 } });
  const runnable = await withManifest(asked, job);
  expect(runnable).toMatchObject({ path: 'm.json', source: { kind: 'inline' } });
  const { data } = (runnable as { source: { data: string } }).source;
  expect(Buffer.from(data, 'base64').toString()).toBe(manifestOf(shards));
  const other = parseRequest({ path: 'x', size: 1 });
  expect(await withManifest(other, job)).toBe(other);
});

test('a size that the manifest does not have is refused by field', async () => {
  const asked = parseRequest({ path: 'm.json', size: 3, source: { kind: 'manifest', shards: 4 } });
  await expect(withManifest(asked, { shards: async () => shards })).rejects.toMatchObject({ field: 'size', value: 3 });
});
