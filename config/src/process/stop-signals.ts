/** The signals that stop a process of ours in order: of Ctrl-C, a service manager, and a terminal that is closed. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
