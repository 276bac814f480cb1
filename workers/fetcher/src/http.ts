/**
 * The loading of undici. Not with the thread's first line: without WebAssembly undici ends whatever thread imports it, by
 * an exception that cannot be caught. And once it is wanted, all of it: what it would load with its first connection may
 * find no descriptor left then, in the midst of other urls.
 */
import { createRequire } from 'node:module';
import type { Exchange } from './exchange.ts';

type ExchangeClass = typeof Exchange;

let loading: Promise<ExchangeClass> | undefined;

/** The class of exchanges; null if this Node has no WebAssembly. */
export async function exchangeClass(): Promise<ExchangeClass | null> {
  if (Reflect.get(globalThis, 'WebAssembly') === undefined) return null;
  loading ??= load();
  return loading;
}

async function load(): Promise<ExchangeClass> {
  const require = createRequire(import.meta.url);
  const loaded = await import('./exchange.ts');
  // oxlint-disable-next-line import/no-unassigned-import -- only to have it read from the disk
  require('undici/lib/llhttp/llhttp_simd-wasm.js');
  return loaded.Exchange;
}
