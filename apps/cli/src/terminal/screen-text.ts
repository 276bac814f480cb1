/**
 * Text as a screen may be given it. What others wrote (names, paths, reasons, errors) can carry what a terminal obeys or
 * what reorders a line; none of it can be in here, because there is no way in but these: all of them escape, and the
 * colours are our own.
 */
import { styleText } from 'node:util';
import { escapeControls } from '@penstock/contract/print';

type Style = Parameters<typeof styleText>[0];

export class ScreenText {
  readonly text: string;
  /** Only what was made here is one, whatever else has a `text`. */
  readonly #made = true;

  private constructor(text: string) {
    this.text = text;
  }

  static is(value: unknown): value is ScreenText {
    return value instanceof ScreenText && value.#made;
  }

  /** Anything, on one line: an end of line in it is shown as \n. */
  static line(text: string): ScreenText {
    return new ScreenText(escapeControls(text));
  }

  /** Text of several lines. Those after the first begin with `indent`, so that none of them passes for a line of ours. */
  static lines(text: string, indent = ''): ScreenText {
    return new ScreenText(text.split('\n').map(escapeControls).join(`\n${indent}`));
  }

  /** In a colour, if the screen has any. */
  static painted(style: Style, text: string, hasColors: boolean): ScreenText {
    const escaped = escapeControls(text);
    return new ScreenText(hasColors ? styleText(style, escaped, { validateStream: false }) : escaped);
  }

  static joined(parts: readonly (string | ScreenText)[], between = ''): ScreenText {
    return new ScreenText(parts.map((part) => screenText(part).text).join(between));
  }

  /** What `draw` makes of texts that are safe already: a table's borders and padding. */
  static drawn(texts: readonly (readonly ScreenText[])[], draw: (texts: string[][]) => string): ScreenText {
    return new ScreenText(draw(texts.map((row) => row.map(({ text }) => text))));
  }
}

/** A plain text is one line. */
export const screenText = (text: string | ScreenText): ScreenText =>
  ScreenText.is(text) ? text : ScreenText.line(text);
