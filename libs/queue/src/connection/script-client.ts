/** The client that the queue's own Lua scripts are run with. */

/** What the scripts need of BullMQ's client: it sends a script by its hash, and whole if Redis does not have it. */
export interface ScriptClient {
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  runCommand(name: string, args: (string | number)[]): Promise<unknown>;
}
