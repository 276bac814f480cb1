// The soak with a fixed seed, for a few minutes.
import { testSoak } from './soak.fixture.ts';

testSoak({ kill: 20, steps: 12, redis: 6, freeze: 8, steering: 6 }, 50_331_648);
