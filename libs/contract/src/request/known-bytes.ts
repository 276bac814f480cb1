/** How many bytes a write comes to, as far as its request gives it. */
import { extentsEnd, inlineBytes } from './source-size.ts';
import type { WriteRequest } from './write-request.ts';

/** 0 if only the source knows. */
export function knownBytes({ source, size }: WriteRequest): number {
  if (source.kind === 'inline') return inlineBytes(source.data);
  if (source.kind === 'extents') return size ?? extentsEnd(source);
  return size ?? 0;
}
