/** The sources: what fills the rows of a write, and what its file is compared with afterwards. */
export { ExtentsSource } from './extents.ts';
export { InlineSource } from './inline.ts';
export { findMismatch, type Mismatch, readSource } from './mismatch.ts';
export { createPatternSource } from './patterns/pattern.ts';
export type { DirectSource } from './source.ts';
