// The soak, short, so that `npm run soak` itself is known to work; soak.long.test.ts tries every scenario, and longer.
import { testSoak } from './soak.fixture.ts';

testSoak({ steps: 1, redis: 1, steering: 1 }, 25_165_824);
