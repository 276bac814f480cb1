/** Groups of users, by the machine's own list: Node has no other way to ask. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';

const GROUP_ID_MAX = 4_294_967_294;

/** The number of the group that `text` names; what the machine's list does not have goes by its number. @throws InvalidArgumentError */
export function parseGroup(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= GROUP_ID_MAX) return Number(text);
  for (const line of readFileSync('/etc/group', 'utf8').split('\n')) {
    const [name, , id] = line.split(':');
    if (name === text && id !== undefined && /^\d+$/.test(id)) return Number(id);
  }
  throw new InvalidArgumentError(`"${text}" is no group of /etc/group: give its number (getent group ${text}).`);
}
