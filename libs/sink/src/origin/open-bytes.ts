/** Opens the source of a write: one that computes its bytes, or a file or segment that is read; and determines its size. */
import { RequestError, type WriteRequest, extentsEnd } from '@penstock/contract';
import { type DirectSource, ExtentsSource, InlineSource, createPatternSource } from '@penstock/sources';
import type { Roots } from '@penstock/disk';
import type { RefusingDevices } from '../device/direct-refused.ts';
import { type Origin, closeOrigin, openOrigin } from './origin.ts';
import type { SegmentDirectory } from './segment-directory.ts';
import { openSegment } from './segment.ts';

/** An opened source: either `source`, which computes, or `origin`, which is read. */
export type OpenedBytes = { size: number } & (
  | { source: DirectSource; origin: null }
  | { source: null; origin: Origin }
);

/** What a writer thread opens sources with. */
interface SourceOpeners {
  roots: Roots;
  /** undefined if the writer reads no segments. */
  segments: SegmentDirectory | undefined;
  refusingDevices: RefusingDevices;
}

/**
 * Opens the source that `request` names; the caller closes it.
 * @throws IoError naming the call that failed
 * @throws RequestError if the source is refused, or has fewer bytes than the request's size
 */
export function openBytes(
  { roots, segments, refusingDevices }: SourceOpeners,
  { source, size }: WriteRequest,
): OpenedBytes {
  switch (source.kind) {
    case 'file': {
      const origin = openOrigin(roots.get(source.root, 'source.root', false), source.path, refusingDevices);
      return fromOrigin(origin, origin.sizeBytes, size, 'the source');
    }
    case 'shm': {
      const origin = openSegment(segments, source);
      const from = source.offset === 0 ? '' : ` from ${source.offset} on`;
      return fromOrigin(origin, origin.sizeBytes - source.offset, size, `the segment '${origin.path}'${from}`);
    }
    case 'extents':
      return { source: new ExtentsSource(source.extents), origin: null, size: size ?? extentsEnd(source) };
    case 'pattern':
      return { source: createPatternSource(source.pattern, source.seed), origin: null, size: size ?? 0 };
    case 'inline': {
      const inline = new InlineSource(source.data);
      return { source: inline, origin: null, size: inline.size };
    }
    default: {
      const accepted = 'another source: these bytes come from a program that hands them over, and none does';
      throw new RequestError({ field: 'source.kind', value: source.kind, accepted });
    }
  }
}

function fromOrigin(origin: Origin, availableBytes: number, asked: number | undefined, name: string): OpenedBytes {
  const size = asked ?? availableBytes;
  if (size <= availableBytes) return { source: null, origin, size };
  closeOrigin(origin);
  const accepted = `at most the ${availableBytes} bytes of ${name}, or leave it out`;
  throw new RequestError({ field: 'size', value: size, accepted });
}
