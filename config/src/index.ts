/** Settings: what they are, where they come from, and what holds by default. */
export * as defaults from './settings/defaults.ts';
export {
  type DashboardDoor,
  dashboardLink,
  LINK_MINUTES,
  LINK_PATH,
  newDashboardKey,
  publishDoor,
  readDoors,
  tokenEnd,
} from './dashboard-link.ts';
export { directArguments, type DirectChoices, directOf } from './settings/direct.ts';
export { formatDuration } from './settings/durations.ts';
export {
  addDataOption,
  addHostOptions,
  addStoreOptions,
  addWriterOptions,
  defaultRoot,
  hostSettings,
  type HostSettings,
  parseHostName,
  parseRoot,
  storeSettings,
  type StoreSettings,
} from './settings/settings.ts';
export { commandOutput, complainTo, type Log, logOf } from './process/log.ts';
export { parseRate } from './settings/rates.ts';
export { lackOfSpace, makeDirectories } from '@penstock/redis';
export { nativeFile, readLibaio } from './native-record.ts';
export { STOP_SIGNALS } from './process/stop-signals.ts';
export { findServer, openStore, type Store } from './store.ts';
