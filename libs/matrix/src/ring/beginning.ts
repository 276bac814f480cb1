/**
 * Where a producer begins in its source: the write declares from which byte on it needs the source, and the producer
 * answers with the byte at which it begins, and with what it knows of its source. Each side stores these words before the
 * state word that lets the other load them.
 */
import { fromWords, highWord, lowWord } from '@penstock/native';
import {
  BEGUN,
  BEGUN_AT_HIGH,
  BEGUN_AT_LOW,
  BEGUN_IDENTITY_BYTES,
  IDENTITY_BYTES_MAX,
  INLET_TEXT,
  OUTLET_TEXT,
  START_AT_HIGH,
  START_AT_LOW,
  START_IDENTITY_BYTES,
  TOTAL_HIGH,
  TOTAL_LOW,
  ringText,
} from './words.ts';

/** Where in its source a producer is to begin, or has begun. */
export interface RingStart {
  offset: number;
  /** By what the source's bytes are known from others that may stand there later; null if by nothing. Up to 512 bytes. */
  identity: string | null;
}

/** What a producer knows before its first byte. */
export interface RingBeginning extends RingStart {
  /** Of the whole source; null if not known. */
  totalBytes: number | null;
}

/** Writer thread: where the producer is to begin; before the outlet's state becomes OUTLET_EMPTY. */
export function storeStart(words: Int32Array, { offset, identity }: RingStart): void {
  Atomics.store(words, START_AT_LOW, lowWord(offset));
  Atomics.store(words, START_AT_HIGH, highWord(offset));
  storeIdentity(words, OUTLET_TEXT, START_IDENTITY_BYTES, identity);
}

/** Producer: where it is to begin, once the write has its file. */
export function loadStart(words: Int32Array): RingStart {
  const offset = fromWords(Atomics.load(words, START_AT_LOW), Atomics.load(words, START_AT_HIGH));
  return { offset, identity: loadIdentity(words, OUTLET_TEXT, START_IDENTITY_BYTES) };
}

/** Producer: where it begins, before its first byte. */
export function storeBeginning(words: Int32Array, { offset, totalBytes, identity }: RingBeginning): void {
  Atomics.store(words, BEGUN_AT_LOW, lowWord(offset));
  Atomics.store(words, BEGUN_AT_HIGH, highWord(offset));
  Atomics.store(words, TOTAL_LOW, lowWord(totalBytes ?? 0));
  Atomics.store(words, TOTAL_HIGH, totalBytes === null ? -1 : highWord(totalBytes));
  storeIdentity(words, INLET_TEXT, BEGUN_IDENTITY_BYTES, identity);
  Atomics.store(words, BEGUN, 1);
}

/** Writer thread: where the producer has begun; only once BEGUN is 1. */
export function loadBeginning(words: Int32Array): RingBeginning {
  const totalHigh = Atomics.load(words, TOTAL_HIGH);
  return {
    offset: fromWords(Atomics.load(words, BEGUN_AT_LOW), Atomics.load(words, BEGUN_AT_HIGH)),
    totalBytes: totalHigh === -1 ? null : fromWords(Atomics.load(words, TOTAL_LOW), totalHigh),
    identity: loadIdentity(words, INLET_TEXT, BEGUN_IDENTITY_BYTES),
  };
}

/** Stores `identity` and its length; one that is too long counts as none. */
function storeIdentity(words: Int32Array, which: number, lengthWord: number, identity: string | null): void {
  const bytes = Buffer.from(identity ?? '');
  const fits = identity !== null && bytes.length <= IDENTITY_BYTES_MAX;
  if (fits) ringText(words, which).set(bytes);
  Atomics.store(words, lengthWord, fits ? bytes.length : -1);
}

function loadIdentity(words: Int32Array, which: number, lengthWord: number): string | null {
  const length = Atomics.load(words, lengthWord);
  return length === -1 ? null : Buffer.from(ringText(words, which).slice(0, length)).toString();
}
