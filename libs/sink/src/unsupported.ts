/** What the contract admits and this writer cannot do yet: refused by name, before anything is touched. */
import { RequestError, type WriteRequest } from '@penstock/contract';

const SOURCES: ReadonlySet<string> = new Set(['url', 'shm', 'manifest']);

/** @throws RequestError */
export function assertSupported(request: WriteRequest): void {
  const { source, mode, durability, checksum, verify, fileMode, limit } = request;
  const refuse = (field: string, value: unknown): never => {
    throw new RequestError({ field, value, accepted: 'another value: this version cannot do it yet' });
  };
  if (SOURCES.has(source.kind)) refuse('source.kind', source.kind);
  if (source.kind === 'file' && source.mtime === 'keep') refuse('source.mtime', 'keep');
  if (mode === 'overwrite' || mode === 'append') refuse('mode', mode);
  if (durability === 'dsync') refuse('durability', durability);
  if (checksum !== undefined && checksum !== 'none') refuse('checksum', checksum);
  if (verify === 'readback') refuse('verify', verify);
  if (fileMode !== undefined) refuse('fileMode', fileMode);
  if (limit !== undefined && limit.bytesPerSecond > 0) refuse('limit.bytesPerSecond', limit.bytesPerSecond);
}
