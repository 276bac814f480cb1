/** Prints a value somebody sent, so that an error message can quote it: short, on one line, and never throwing. */

const PRINTED_CHARACTERS_MAX = 80;

/**
 * What is not safe to print raw: C0 and C1 controls (a terminal obeys them), line separators, bidirectional overrides
 * (they reorder the message around them), zero-width characters and the byte order mark. With the `u` flag the
 * surrogate range matches lone surrogates only, which have no UTF-8 form.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Replaces control, formatting and lone surrogate characters by `\u{..}` escapes, so that the text stays on one line. */
export function escapeControls(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    if (character === '\n') return String.raw`\n`;
    if (character === '\r') return String.raw`\r`;
    if (character === '\t') return String.raw`\t`;
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/**
 * JSON on one line that a terminal can be given: beyond what JSON escapes by itself, DEL, C1 controls (a terminal may take
 * U+009B for the beginning of an order) and all that escapeControls() replaces. Any reader of JSON reads the same value.
 */
export function printableJson(value: unknown): string {
  // Outside of its texts JSON has nothing of the kind.
  return JSON.stringify(value).replace(UNPRINTABLE, (character) =>
    Array.from({ length: character.length }, (_, unit) => {
      return String.raw`\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

/** Cuts text to at most `limit` UTF-16 units, marking the cut by an ellipsis, and never through a surrogate pair. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let end = limit - 1;
  const last = text.charCodeAt(end - 1);
  if (last >= 0xd800 && last <= 0xdbff) end -= 1;
  return `${text.slice(0, end)}…`;
}

/** Quotes text in JSON's manner, in at most 80 characters including the quotes; a cut is marked by an ellipsis. */
function quote(text: string): string {
  // Cut first, so that a huge string is not scanned whole; then again piece by piece, as escapes lengthen the text.
  const head = shorten(text, PRINTED_CHARACTERS_MAX);
  let quoted = '';
  for (const character of head) {
    const piece = character === '"' || character === '\\' ? `\\${character}` : escapeControls(character);
    if (quoted.length + piece.length > PRINTED_CHARACTERS_MAX - 3) return `"${quoted}…"`;
    quoted += piece;
  }
  return `"${quoted}"`;
}

/**
 * Names a value in at most 80 printable characters. Objects are named by kind and not looked into: their content may be
 * huge, cyclic, or run code on being read.
 */
export function printValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'bigint':
      // Printing a bigint takes time quadratic in its length; beyond 2^256 the digits say nothing more.
      return BigInt.asIntN(256, value) === value ? shorten(`${value}n`, PRINTED_CHARACTERS_MAX) : 'a huge bigint';
    case 'symbol':
      return 'a symbol';
    case 'function':
      return 'a function';
    default:
      if (value === null) return 'null';
      try {
        return Array.isArray(value) ? 'an array' : 'an object';
      } catch {
        return 'an object'; // a revoked proxy throws at any question
      }
  }
}
