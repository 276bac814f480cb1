// The sources: what fills the rows of a write, and what its file is compared with afterwards.
export { ExtentsSource } from './extents.ts';
export { InlineSource } from './inline.ts';
export { findMismatch, type Mismatch, readSource } from './mismatch.ts';
export { createPatternSource } from './patterns/pattern.ts';
export type { DirectSource, Source } from './source.ts';
export { readStamp, type Stamp, stampBlockBytes } from './patterns/stamp.ts';
export { TEXT_LINE_BYTES } from './patterns/text.ts';
