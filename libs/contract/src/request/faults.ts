/** Faults that no field has by itself: what does not go together in a request whose fields are right one by one. */
import { CHECKSUM_DIGITS } from '../fields/fields.ts';
import { SIZE_BYTES_MAX } from '../text/size.ts';
import { extentsEnd, inlineBytes } from './source-size.ts';
import { changesInPlace, type WriteRequest } from './write-request.ts';

/**
 * A fault that no field has by itself: where it shows, why ('' where the field is missing), and what would be accepted
 * there beside the rest of the request, if that is not all that the field accepts by itself.
 */
export type Fault = {
  code: 'custom';
  input: unknown;
  path: (string | number)[];
  message: string;
  params?: { accepted: string };
};

/** What is wrong with a request whose fields are right one by one. */
export function faultsBetween(request: WriteRequest): Fault[] {
  const faults: Fault[] = [];
  const find: Find = (at, input, message, accepted) => {
    const params = accepted === undefined ? {} : { params: { accepted } };
    faults.push({ code: 'custom', input, path: at, message, ...params });
  };
  findSourceFaults(request, find);
  findModeFaults(request, find);
  findChecksumFaults(request, find);
  return faults;
}

type Find = (at: (string | number)[], input: unknown, message: string, accepted?: string) => void;

function findSourceFaults({ source, size, path: written, root, publish, fileMode }: WriteRequest, find: Find): void {
  if (source.kind === 'pattern' && size === undefined) find(['size'], size, '');
  if (source.kind === 'file' && publish === 'in-place' && source.path === written && source.root === root) {
    const message = 'it is the file to be written, and writing it in place would destroy the source';
    find(['source', 'path'], source.path, message, 'another file, or publish "atomic"');
  }
  if (source.kind === 'extents' && size !== undefined) {
    const end = extentsEnd(source);
    if (size < end) find(['size'], size, `the extents end at ${end}`, `${end} or more, or leave it out`);
  }
  if (source.kind === 'inline' && size !== undefined && size !== inlineBytes(source.data)) {
    const bytes = inlineBytes(source.data);
    find(['size'], size, `the data comes to ${bytes} bytes`, `${bytes}, or leave it out`);
  }
  if (fileMode === 'keep' && source.kind !== 'file') {
    find(['fileMode'], fileMode, 'the source is no file', 'three octal digits like "640"');
  }
}

function findModeFaults(request: WriteRequest, find: Find): void {
  const { mode, offset, publish, source, size = 0 } = request;
  if (offset !== undefined && mode !== 'overwrite') {
    find(['offset'], offset, `the mode is ${mode}`, 'mode "overwrite" with it, or leave it out');
  }
  if (offset !== undefined && offset + size > SIZE_BYTES_MAX) find(['offset'], offset, 'the file would end too far');
  if (!changesInPlace(request)) return;
  if (publish === 'atomic') {
    find(['publish'], publish, `${mode} changes the file where it stands`, '"in-place", or leave it out');
  }
  if (source.kind !== 'file') return;
  if (source.holes === 'keep') {
    const message = `${mode} would leave old bytes where the holes are`;
    find(['source', 'holes'], 'keep', message, '"fill", or mode "replace" or "create"');
  }
  if (source.reflink === 'always') {
    const message = `${mode} keeps the blocks of its file`;
    find(['source', 'reflink'], 'always', message, '"auto" or "never", or mode "replace" or "create"');
  }
}

function findChecksumFaults({ source, checksum, expect, verify }: WriteRequest, find: Find): void {
  const named = checksum === undefined || checksum === 'none' ? null : checksum;
  if (expect !== undefined && named === null) {
    find(['expect'], expect, 'no checksum is named', 'a checksum with it, "crc32c" or "sha256", or leave it out');
  }
  if (expect !== undefined && named !== null && expect.length !== CHECKSUM_DIGITS[named]) {
    const digits = CHECKSUM_DIGITS[named];
    find(['expect'], expect, `${named} has ${digits} digits`, `${digits} hexadecimal digits`);
  }
  if (source.kind !== 'file' || source.reflink !== 'always') return;
  const instead = '"none", or source.reflink "auto"';
  if (named !== null) find(['checksum'], checksum, 'a reflink passes no byte that could be summed up', instead);
  if (verify === 'readback') find(['verify'], verify, 'a reflink writes no byte that could be compared', instead);
}
