/** What the value of an option may be: each function reads the text of one, and refuses it with what is accepted. */
import { isIP } from 'node:net';
import { totalmem } from 'node:os';
import { resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { ANY_HOST, formatBytes, HOST_NAME, parseSize } from '@penstock/contract';
import type { RootConfig } from '@penstock/disk';
import { DURATION_ACCEPTED, parseDuration } from './durations.ts';

/** A whole number from `min` to `max`. @throws InvalidArgumentError */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

/** Milliseconds of a duration like 90s. @throws InvalidArgumentError */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError(`Give ${DURATION_ACCEPTED}.`);
  return ms;
}

/** A host's name is part of its queue's name. @throws InvalidArgumentError */
export function parseHostName(text: string): string {
  if (HOST_NAME.test(text) && text !== ANY_HOST) return text;
  throw new InvalidArgumentError(`Give 1 to 128 letters, digits, dots, _ or -, and not "${ANY_HOST}", like disk-3.`);
}

/** Bytes of a size like 1MiB. @throws InvalidArgumentError */
export function sizeInBytes(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** Bytes between two checkpoints. @throws InvalidArgumentError */
export function checkpoint(text: string): number {
  const bytes = sizeInBytes(text);
  if (bytes < 1_048_576) throw new InvalidArgumentError('Give at least 1MiB: each checkpoint is a flush.');
  return bytes;
}

/** Bytes of row memory. @throws InvalidArgumentError */
export function memory(text: string): number {
  const bytes = sizeInBytes(text);
  if (bytes < 2_097_152) throw new InvalidArgumentError('Give at least 2MiB, one huge page.');
  if (bytes > totalmem()) {
    throw new InvalidArgumentError(`This machine has ${formatBytes(totalmem())}: give less.`);
  }
  return bytes;
}

/** The root that `text` defines: name=directory, or name=directory:ro. @throws InvalidArgumentError */
export function parseRoot(text: string): RootConfig {
  const [, name, directory, readOnly] = /^([a-z0-9][a-z0-9_-]{0,63})=(.+?)(:ro)?$/i.exec(text) ?? [];
  if (name === undefined || directory === undefined) {
    throw new InvalidArgumentError('Give name=directory or name=directory:ro, like captures=/srv/captures.');
  }
  // The directory is not looked at here: a file system that does not answer would hold up everything else.
  return { name, path: resolve(directory), writable: readOnly === undefined };
}

const HOST_PATTERN = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/i;

/** One more of what --url-allow names. @throws InvalidArgumentError */
export function collectUrlAllow(text: string, before: readonly string[]): readonly string[] {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const isNetwork = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  const named = family === 0 && prefix === undefined && HOST_PATTERN.test(address) && !/^[\d.]+$/.test(address);
  if (rest.length === 0 && ((family !== 0 && isNetwork) || named)) return [...before, text];
  throw new InvalidArgumentError('Give a network like 10.1.0.0/16, an address, or a name like artifacts.internal.');
}

/** One more root; no two have one name. @throws InvalidArgumentError */
export function collectRoot(text: string, before: RootConfig[]): RootConfig[] {
  const root = parseRoot(text);
  if (before.some(({ name }) => name === root.name)) {
    throw new InvalidArgumentError(`The root "${root.name}" is named twice.`);
  }
  return [...before, root];
}
