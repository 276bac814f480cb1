// Many power cuts (power.test.ts): POWER_CUTS, POWER_WRITES and POWER_SEED choose others.
import { expect } from '@jest/globals';
import { testPowerCuts } from './power.fixture.ts';

const setting = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);

const settings = {
  seed: setting('POWER_SEED', Date.now() % 1_000_000),
  writes: setting('POWER_WRITES', 600),
  cuts: setting('POWER_CUTS', 24),
};

testPowerCuts(settings, 1_800_000, (figures) => {
  expect(figures.lost).toEqual([]);
  expect(figures.compared).toBeGreaterThan(figures.cuts * 10);
});
