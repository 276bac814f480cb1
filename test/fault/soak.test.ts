// The soak, short, so that `npm run soak` itself is known to work; soak.long.test.ts tries it longer.
import { testSoak } from './soak.fixture.ts';

testSoak({ kill: 1, steps: 1, redis: 1, freeze: 1, steering: 1 }, 25_165_824);
