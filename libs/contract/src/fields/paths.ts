/** Which paths and root names a request may carry. Only their form is judged here; the sink judges where they lead. */

const PATH_BYTES_MAX = 4095; // PATH_MAX less its NUL
const COMPONENT_BYTES_MAX = 255; // NAME_MAX of every common Linux file system

// With the u flag a surrogate that belongs to a pair is part of its character: only lone ones match.
const LONE_SURROGATE = /\p{Surrogate}/u;

/** A root's name, as configured on the host: a short word, never a path. */
export const ROOT_NAME: RegExp = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/**
 * The same rules as pathFault for readers of the JSON Schema, except that a pattern cannot count bytes: no leading,
 * trailing or double slash, no component "." or "..", no NUL.
 */
export const PATH_PATTERN: string = String.raw`^(?!\.{1,2}(?:/|$))[^/\u0000]+(?:/(?!\.{1,2}(?:/|$))[^/\u0000]+)*$`;

/** The longest a path may be; also a bound on its characters, as each takes a byte or more. */
export const PATH_CHARACTERS_MAX: number = PATH_BYTES_MAX;

/** What is wrong with a path inside a root, in a few words; null if nothing is. */
export function pathFault(path: string): string | null {
  if (path === '') return 'it is empty';
  // First of all, before anything that takes time in proportion to the length: every UTF-16 unit costs a byte or more.
  if (path.length > PATH_BYTES_MAX) return `it is longer than ${PATH_BYTES_MAX} bytes`;
  if (path.includes('\0')) return 'it holds a NUL';
  if (LONE_SURROGATE.test(path)) return 'it holds half a surrogate pair, which no file name can spell';
  if (path.startsWith('/')) return 'it is absolute; paths start inside their root';
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return `it is longer than ${PATH_BYTES_MAX} bytes`;
  for (const component of path.split('/')) {
    if (component === '') return 'it has an empty component (a trailing or double slash)';
    if (component === '.' || component === '..') return `it has a component "${component}"`;
    if (Buffer.byteLength(component) > COMPONENT_BYTES_MAX) {
      return `it has a component longer than ${COMPONENT_BYTES_MAX} bytes`;
    }
  }
  return null;
}
