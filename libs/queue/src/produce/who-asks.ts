/** The name that a cancellation carries, unless the caller gives one. */
import { hostname, userInfo } from 'node:os';

/** 'ann@ops-1': the user of this process and its machine. */
export function whoAsks(): string {
  let name = 'uid';
  try {
    name = userInfo().username;
  } catch {
    name = `uid ${process.getuid?.() ?? '?'}`; // no entry in the list of users, as in a container
  }
  return `${name}@${hostname()}`;
}
