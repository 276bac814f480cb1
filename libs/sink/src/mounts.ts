/** The file systems of this machine, as /proc/self/mountinfo tells them. */

export interface Mount {
  directory: string;
  fileSystem: string;
  /** The device or what else is mounted. */
  source: string;
}

/** Reads mountinfo (proc(5)): later lines cover earlier ones. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo
    .split('\n')
    .filter((line) => line.includes(' - '))
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [fileSystem = '', source = ''] = after.split(' ');
      return { directory: unescape(before.split(' ')[4] ?? '/'), fileSystem, source: unescape(source) };
    });
}

/** The mount that the absolute, real `path` lies on. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const prefix = mount.directory === '/' ? '/' : `${mount.directory}/`;
    const covers = path === mount.directory || path.startsWith(prefix);
    if (covers && mount.directory.length >= (found?.directory.length ?? 0)) found = mount;
  }
  return found;
}

/** The kernel writes space, tab, newline and backslash as octal escapes. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)));
}
