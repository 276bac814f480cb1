/** The gateway: penstock over HTTP. Other apps start it as a process; tests use its parts. */
export { Gateway, type GatewayOptions } from './gateway.ts';
