/** Gives a class of errors its name. */

/** On the prototype rather than each error: the stack's first line is written before an error's own fields are set. */
export function nameErrors(kind: { prototype: Error }, name: string): void {
  Object.defineProperty(kind.prototype, 'name', { value: name, configurable: true, writable: true });
}
