/** What the contract admits and this writer cannot do yet: refused by name, before anything is touched. */
import { RequestError, type WriteRequest } from '@penstock/contract';

const SOURCES: ReadonlySet<string> = new Set(['manifest']);

/** @throws RequestError */
export function assertSupported(request: WriteRequest): void {
  const { source } = request;
  const refuse = (field: string, value: unknown): never => {
    throw new RequestError({ field, value, accepted: 'another value: this version cannot do it yet' });
  };
  if (SOURCES.has(source.kind)) refuse('source.kind', source.kind);
}
