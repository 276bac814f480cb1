/** Versions as programs report them, compared. */

/** True if `version`, like "7.0.15" or "6.14.0-rc1", is `major`.`minor` or newer. */
export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
