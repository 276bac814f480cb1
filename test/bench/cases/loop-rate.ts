/** What a writer thread costs by itself: the real loop, engine and lanes over a port that is as fast as they are. */
import { homesDirectory } from '../../support/system.ts';
import { besideBench } from '../beside.ts';
import type { MeasuredCase } from '../case.ts';
import { runProgram } from '../peers/program.ts';

interface Figures {
  perSecond: number;
  /** Absent if the device has limits. */
  cpuUs?: number;
  heapBytes?: number;
}

const loopCost: MeasuredCase = {
  kind: 'measured',
  name: 'loop-cost',
  what: 'CPU an iocb of 4 KiB that a writer thread spends on it, over a port that completes at once and moves no bytes',
  missing: () => null,
  async measure(_system, { smoke }) {
    const program = besideBench('subjects/loop-rate.mjs');
    const { stdout, usage } = await runProgram(process.execPath, [
      program,
      homesDirectory(),
      smoke ? '1' : '9',
      'json',
    ]);
    const found = JSON.parse(stdout) as Record<string, Figures>;
    const [small, ...others] = Object.entries(found);
    const [, { cpuUs, heapBytes }] = small!;
    const figures: Record<string, number> = { 'heap B': heapBytes! };
    for (const [name, { perSecond }] of others)
      figures[`${name.replaceAll(',', '')}: thousand iocbs/s`] = perSecond / 1000;
    return { value: cpuUs!, processes: [usage], figures };
  },
};

export const writerLoop: MeasuredCase[] = [loopCost];
