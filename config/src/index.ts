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
export { directOf } from './settings/direct.ts';
export { formatDuration } from './settings/durations.ts';
export { hostArguments, storeArguments, storeEnvironment } from './settings/child-arguments.ts';
export { FLAGGED_SETTINGS, type FlaggedSettings } from './settings/host-options.ts';
export { duration, parseHostName, parseRoot, sizeInBytes, wholeNumber } from './settings/option-values.ts';
export { addDataOption, addHostOptions, addStoreOptions, addWriterOptions } from './settings/options.ts';
export {
  defaultRoot,
  type HostOptions,
  hostSettings,
  type HostSettings,
  storeSettings,
  type StoreOptions,
  type StoreSettings,
} from './settings/settings.ts';
export { commandOutput, complainTo, type Log, logOf } from './process/log.ts';
export { parseRate } from './settings/rates.ts';
export { lackOfSpace, makeDirectories } from '@penstock/redis';
export { nativeFile, readLibaio } from './native-record.ts';
export { leaveStarter, reportToStarter } from './process/starter.ts';
export { STOP_SIGNALS } from './process/stop-signals.ts';
export { findServer, openStore, type Store } from './store.ts';
