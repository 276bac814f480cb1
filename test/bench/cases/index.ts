/** Every case, in the order in which they run. */
import type { BenchCase } from '../case.ts';
import { copies } from './copy.ts';
import { files } from './files.ts';
import { hostHealth } from './host-health.ts';
import { largeWrites } from './large-write.ts';
import { writerLoop } from './loop-rate.ts';
import { sideBySide } from './side-by-side.ts';
import { smallFiles } from './small-files.ts';
import { startings } from './starting.ts';
import { steerings } from './steering.ts';

export const cases: BenchCase[] = [
  ...largeWrites,
  ...copies,
  ...sideBySide,
  ...files,
  ...smallFiles,
  ...hostHealth,
  ...writerLoop,
  ...startings,
  ...steerings,
];
