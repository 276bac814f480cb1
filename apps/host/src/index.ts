/** The host: the process that writes. Other apps start it as a process; tests use its parts. */
export { Host, type HostOptions } from './host.ts';
