// Every field, mode and source on other disks than the checkout's, at every edge size.
import { EDGE_SIZES } from '../../support/request-rows.ts';
import { testOtherDisks } from './matrix.fixture.ts';

testOtherDisks(EDGE_SIZES);
