// What a terminal program wrote, as pieces with a style. Colours and weight are kept, everything else is left out.

export interface Piece {
  text: string;
  /** Names of classes: fg1 to fg7, bold, dim, italic, underline, inverse. */
  styles: readonly string[];
}

interface Pen {
  fg: number;
  flags: Set<string>;
}

const FLAGS: Readonly<Record<number, string>> = {
  1: "bold",
  2: "dim",
  3: "italic",
  4: "underline",
  7: "inverse",
};
const ENDS: Readonly<Record<number, readonly string[]>> = {
  22: ["bold", "dim"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
};

// CSI, then OSC and other strings up to their end, then two-character sequences.
const ESCAPE =
  /\u001b\[([0-9:;<=>?]*)[ -/]*([@-~])|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]/g;

/** The pieces of a text. What a carriage return overwrites is left out, as a terminal would show it. */
export function parseAnsi(text: string): Piece[] {
  const pieces: Piece[] = [];
  const pen: Pen = { fg: 0, flags: new Set() };
  let at = 0;
  const put = (end: number) => {
    if (end > at) pieces.push({ text: text.slice(at, end), styles: stylesOf(pen) });
  };
  for (const found of text.matchAll(ESCAPE)) {
    put(found.index);
    at = found.index + found[0].length;
    if (found[2] === "m") draw(pen, found[1] ?? "");
  }
  put(text.length);
  return pieces;
}

/** The text without any escape sequence. */
export function stripAnsi(text: string): string {
  return text.replace(ESCAPE, "");
}

/** Each line as it stands once carriage returns have overwritten what was before them. */
export function overwritten(text: string): string {
  if (!text.includes("\r")) return text;
  return text
    .replace(/\r+\n/g, "\n")
    .split("\n")
    .map((line) => line.replace(/\r+$/, "").split("\r").pop() ?? "")
    .join("\n");
}

function stylesOf(pen: Pen): string[] {
  return [...(pen.fg ? [`fg${pen.fg}`] : []), ...pen.flags];
}

function draw(pen: Pen, codes: string): void {
  const numbers = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; i++) {
    const code = numbers[i] ?? 0;
    if (code === 38 || code === 48) {
      const isShort = numbers[i + 1] === 5;
      const colour = numbers[i + 2] ?? 0;
      if (code === 38) pen.fg = isShort && colour > 0 && colour < 16 ? colour % 8 : 0;
      i += isShort ? 2 : 4;
    } else if (code === 0) {
      pen.fg = 0;
      pen.flags.clear();
    } else if (code >= 30 && code <= 37) pen.fg = code - 30;
    else if (code >= 90 && code <= 97) pen.fg = code - 90;
    else if (code === 39) pen.fg = 0;
    else if (FLAGS[code]) pen.flags.add(FLAGS[code]);
    else for (const flag of ENDS[code] ?? []) pen.flags.delete(flag);
  }
}
