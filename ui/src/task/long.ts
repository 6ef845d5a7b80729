// Texts that may be longer than a screen: what is shown of them folded, and how all of them is shown in pieces.
import { overwritten, parseAnsi, type Piece } from "../design/ansi";

/** Lines that a folded text shows, of its beginning or its end. */
export const FOLD_LINES = 20;

/** Lines beyond that which are not worth a button. */
const SLACK = 5;

/** Characters of a line that are shown folded: more than fills a screen. */
const LINE_CHARS = 2_000;

/** What one block holds at most: it is laid out as a whole once it is near the screen. */
const BLOCK_LINES = 100;
const BLOCK_CHARS = 4_000;

export interface Folded {
  shown: string;
  /** Lines of the whole text. */
  lines: number;
  /** Whether anything is left out. */
  isCut: boolean;
}

/** The beginning or the end of a text, and how much there is; one that is short enough is left whole. */
export function fold(text: string, side: "head" | "tail"): Folded {
  const whole = text.endsWith("\n") ? text.slice(0, -1) : text;
  const lines = countLines(whole);
  const isFolded = lines > FOLD_LINES + SLACK;
  const part = !isFolded ? whole : side === "head" ? head(whole) : tail(whole);
  const shown = part.length > LINE_CHARS ? shortLines(part) : part;
  return { shown, lines, isCut: isFolded || shown !== part };
}

function countLines(text: string): number {
  let count = 1;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

function head(text: string): string {
  let at = -1;
  for (let n = 0; n < FOLD_LINES; n++) at = text.indexOf("\n", at + 1);
  return text.slice(0, at);
}

function tail(text: string): string {
  let at = text.length;
  for (let n = 0; n < FOLD_LINES; n++) at = text.lastIndexOf("\n", at - 1);
  return text.slice(at + 1);
}

function shortLines(text: string): string {
  return text
    .split("\n")
    .map((line) => (line.length > LINE_CHARS ? `${line.slice(0, LINE_CHARS)}…` : line))
    .join("\n");
}

export interface Block {
  pieces: readonly Piece[];
  lines: number;
}

/** All of a text in blocks of whole lines; a line that is longer than a block is broken. */
export function blocks(text: string, isOutput: boolean): Block[] {
  const whole = text.endsWith("\n") ? text.slice(0, -1) : text;
  const pieces = isOutput ? parseAnsi(overwritten(whole)) : [{ text: whole, styles: [] }];
  const made: Block[] = [];
  let block: Piece[] = [];
  let lines = 1;
  let chars = 0;
  const close = () => {
    made.push({ pieces: block, lines });
    block = [];
    lines = 1;
    chars = 0;
  };
  for (const piece of pieces) {
    let rest = piece.text;
    while (rest) {
      const { end, breaks, isOver } = room(rest, BLOCK_LINES - lines, BLOCK_CHARS - chars);
      const taken = rest.slice(0, end);
      rest = rest.slice(isOver && rest[end] === "\n" ? end + 1 : end);
      if (taken) block.push({ text: taken, styles: piece.styles });
      lines += breaks;
      chars += taken.length;
      if (isOver) close();
    }
  }
  if (block.length || made.length === 0) close();
  return made;
}

/** How far a text fits into what is left of a block; isOver: the block is full there. */
function room(text: string, breaksLeft: number, charsLeft: number) {
  let breaks = 0;
  let at = 0;
  for (;;) {
    const next = text.indexOf("\n", at);
    const isBeyond = next === -1 ? text.length > charsLeft : next > charsLeft;
    if (isBeyond) {
      // Behind the last line that fits; a line that fills a block alone is broken, never a pair of surrogates.
      if (at > 0) return { end: at - 1, breaks: breaks - 1, isOver: true };
      const end = Math.max(1, charsLeft);
      return { end: /[\ud800-\udbff]/.test(text[end - 1]!) ? end + 1 : end, breaks, isOver: true };
    }
    if (next === -1) return { end: text.length, breaks, isOver: false };
    if (breaks === breaksLeft) return { end: next, breaks, isOver: true };
    breaks += 1;
    at = next + 1;
  }
}

/** "1,234": numbers for people. */
export function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ",");
}
