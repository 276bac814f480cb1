/** The host under measurement, and the processes at work with it. */
import type { HostProcess, System } from '../../support/system.ts';

export interface BenchHost {
  process: HostProcess;
  /** By name. The producer is the bench itself, which adds the jobs and hears of their end. */
  pids: { host: number; redis: number; producer: number };
  close: () => Promise<void>;
}

/** A host that is ready for jobs; `args` are its own options. */
export async function openHost(system: System, args: string[], env: Record<string, string> = {}): Promise<BenchHost> {
  const host = await system.host(args, [], env);
  return {
    process: host,
    pids: { host: host.child.pid!, redis: await system.redisPid(), producer: process.pid },
    close: async () => {
      await host.end();
    },
  };
}
