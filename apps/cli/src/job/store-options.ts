/** How a command finds its queue, and how it names that queue to the person who shall type the next command. */
import { type Store, type StoreOptions, type StoreSettings, openStore, storeSettings } from '@penstock/config';

/** The settings and the opened store. @throws what keeps the embedded Redis from starting */
export async function openStoreOf(
  options: StoreOptions,
  onError: (error: Error) => void,
): Promise<{ settings: StoreSettings; store: Store }> {
  const settings = storeSettings(options, process.env);
  return { settings, store: await openStore(settings.redis, process.env, onError) };
}

/** ` --data … --redis …` as the next command needs them; empty if the defaults or the environment say the same. */
export function storeFlags(options: StoreOptions, env: NodeJS.ProcessEnv): string {
  let flags = '';
  if (options.data !== undefined) flags += ` --data ${quote(options.data)}`;
  if (options.redis !== undefined && options.redis !== env['PENSTOCK_REDIS_URL']) {
    flags += ` --redis ${quote(withoutPassword(options.redis))}`;
  }
  return flags;
}

/** The URL as it may be shown: with *** for a password. */
function withoutPassword(text: string): string {
  if (!URL.canParse(text)) return text;
  const url = new URL(text);
  if (url.password !== '') url.password = '***';
  return url.href;
}

/** As a shell reads it back. */
function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
