// Every field, mode and source on other disks than the checkout's, at a few sizes; matrix.long.test.ts has all of them.
import { testOtherDisks } from './matrix.fixture.ts';

testOtherDisks([511, 4097, 1_048_577]);
