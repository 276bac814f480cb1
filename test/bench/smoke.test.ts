// No bench rots: each case runs once, small, with its peer.
import { expect, test } from '@jest/globals';
import { cases, runCase } from './run.ts';

for (const bench of cases) {
  const missing = bench.missing();
  (missing === null ? test : test.skip)(
    `${bench.name} runs, and both sides do work${missing === null ? '' : ` (${missing})`}`,
    async () => {
      const outcome = await runCase(bench, { pairs: 1, warmups: 0, smoke: true });
      expect(outcome).toMatchObject({ subjectMedian: expect.any(Number), peerMedian: expect.any(Number) });
      if ('skipped' in outcome) throw new Error(outcome.skipped);
      expect(outcome.subjectMedian).toBeGreaterThan(0);
      expect(outcome.peerMedian).toBeGreaterThan(0);
    },
    60_000,
  );
}
