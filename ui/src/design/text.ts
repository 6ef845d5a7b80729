// Text from tasks is hostile: what cannot be seen is shown as a symbol, so that nothing pretends to be something else.

/** Characters shown of one text before "Show all": beyond it, laying out takes longer than people wait. */
export const CUT_CHARS = 20_000;

/** Characters of one line before it is cut: a line of a megabyte takes seconds to break. */
export const CUT_LINE_CHARS = 4_000;

// Controls but tab and line feed; the characters that turn the direction of what follows; those without any width,
// but the two joiners that scripts and pictures are written with; and the tags in which a whole text can be hidden.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** The text with controls as symbols: ␛ for escape, ⟨U+202E⟩ for what turns the direction. */
export function visible(text: string): string {
  return text.replace(/\r\n/g, "\n").replace(UNSEEN, (sign) => {
    const code = sign.codePointAt(0)!;
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    if (code === 0x7f) return "␡";
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
  });
}

/** The beginning of a text that is too long to be shown at once; null when all of it can be. */
export function cut(text: string): string | null {
  if (text.length > CUT_CHARS) return text.slice(0, CUT_CHARS);
  if (text.length <= CUT_LINE_CHARS) return null;
  const long = text.split("\n").find((line) => line.length > CUT_LINE_CHARS);
  return long === undefined ? null : text.slice(0, text.indexOf(long) + CUT_LINE_CHARS);
}

/** A size for people. */
export function size(chars: number): string {
  if (chars < 1000) return `${chars} characters`;
  if (chars < 1_000_000) return `${Math.round(chars / 1000)},000 characters`;
  return `${(chars / 1_000_000).toFixed(1)} million characters`;
}

/** One line for a list: blanks and breaks as single blanks. */
export function oneLine(text: string, max = 300): string {
  return visible(
    text
      .slice(0, max * 2)
      .replace(/\s+/g, " ")
      .trim(),
  ).slice(0, max);
}
