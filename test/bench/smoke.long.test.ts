// No bench rots: the cases that smoke.test.ts leaves out.
import { cases } from './cases/index.ts';
import { QUICK_CASES, testCases } from './smoke.fixture.ts';

testCases(cases.filter(({ name }) => !QUICK_CASES.has(name)));
