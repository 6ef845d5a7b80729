// A difference in git's form, as files, hunks and lines. What it holds was written by whoever worked in the workspace.

export type Change = "added" | "deleted" | "renamed" | "copied" | "changed";

export interface PatchLine {
  sign: "+" | "-" | " " | "\\";
  text: string;
  /** Number in the old and in the new file; null where it is in one only. */
  old: number | null;
  fresh: number | null;
}

export interface Hunk {
  head: string;
  lines: PatchLine[];
}

export interface PatchFile {
  path: string;
  /** Where it was, of a renamed or copied one. */
  from: string | null;
  change: Change;
  isBinary: boolean;
  /** Words of another file mode, such as "100644 → 100755"; empty for the same one. */
  mode: string;
  hunks: Hunk[];
  added: number;
  removed: number;
  /** Its part of the text, for copying; [begin, end) in characters. */
  span: readonly [number, number];
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

export function parsePatch(text: string): PatchFile[] {
  const files: PatchFile[] = [];
  let file: PatchFile | null = null;
  let hunk: Hunk | null = null;
  // Lines that the hunk still has, by its own count: a removed line may look like a header.
  let left = { old: 0, fresh: 0 };
  let at = { old: 0, fresh: 0 };
  let oldMode = "";
  let begin = 0;
  while (begin < text.length) {
    const found = text.indexOf("\n", begin);
    const end = found === -1 ? text.length : found;
    const line = text.slice(begin, end);
    const start = begin;
    begin = end + 1;
    if (hunk && (left.old > 0 || left.fresh > 0 || line.startsWith("\\"))) {
      const sign = line[0] ?? " ";
      if (sign === "+" || sign === "-" || sign === " " || sign === "\\") {
        const isOld = sign === "-" || sign === " ";
        const isFresh = sign === "+" || sign === " ";
        hunk.lines.push({
          sign,
          text: line.slice(1),
          old: isOld ? at.old++ : null,
          fresh: isFresh ? at.fresh++ : null,
        });
        if (isOld) left.old -= 1;
        if (isFresh) left.fresh -= 1;
        if (file && sign === "+") file.added += 1;
        if (file && sign === "-") file.removed += 1;
        continue;
      }
    }
    if (line.startsWith("diff --git ")) {
      if (file) file.span = [file.span[0], start];
      file = {
        path: fromHeader(line.slice(11)),
        from: null,
        change: "changed",
        isBinary: false,
        mode: "",
        hunks: [],
        added: 0,
        removed: 0,
        span: [start, text.length],
      };
      files.push(file);
      hunk = null;
      continue;
    }
    if (!file) continue;
    const numbers = HUNK.exec(line);
    if (numbers) {
      at = { old: Number(numbers[1]), fresh: Number(numbers[3]) };
      left = { old: Number(numbers[2] ?? 1), fresh: Number(numbers[4] ?? 1) };
      hunk = { head: line, lines: [] };
      file.hunks.push(hunk);
      continue;
    }
    hunk = null;
    const after = (words: string) => (line.startsWith(words) ? line.slice(words.length) : null);
    let rest: string | null;
    if (line.startsWith("new file mode ")) file.change = "added";
    else if (line.startsWith("deleted file mode ")) file.change = "deleted";
    else if ((rest = after("old mode ")) !== null) oldMode = rest;
    else if ((rest = after("new mode ")) !== null) file.mode = `${oldMode} → ${rest}`;
    else if ((rest = after("rename from ")) !== null) {
      file.change = "renamed";
      file.from = unquote(rest);
    } else if ((rest = after("copy from ")) !== null) {
      file.change = "copied";
      file.from = unquote(rest);
    } else if ((rest = after("rename to ") ?? after("copy to ")) !== null)
      file.path = unquote(rest);
    else if ((rest = after("+++ ") ?? after("--- ")) !== null) {
      const path = unquote(rest.replace(/\t$/, ""));
      if (path !== "/dev/null") file.path = path.replace(/^[ab]\//, "");
    } else if (line.startsWith("Binary files ") || line.startsWith("GIT binary patch")) {
      file.isBinary = true;
    }
  }
  return files;
}

/** The path in `a/path b/path`, which is the same twice unless the file was renamed. */
function fromHeader(words: string): string {
  if (words.startsWith('"')) {
    const second = words.indexOf('" "');
    return unquote(second === -1 ? words : words.slice(second + 2)).replace(/^b\//, "");
  }
  const half = (words.length - 1) / 2;
  const [first, second] = [words.slice(0, half), words.slice(half + 1)];
  if (first.slice(2) === second.slice(2)) return second.slice(2);
  return words.slice(words.lastIndexOf(" b/") + 3);
}

const SIGNS: Readonly<Record<string, number>> = {
  ...{ a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 },
  ...{ '"': 34, "\\": 92 },
};

/** A path that git wrote in quotes, with octal numbers for the bytes of what is not ASCII. */
export function unquote(path: string): string {
  if (!/^".*"$/.test(path)) return path;
  const bytes: number[] = [];
  for (const [, octal, sign, plain] of path
    .slice(1, -1)
    .matchAll(/\\([0-7]{3})|\\(.)|([^\\]+)/gs)) {
    if (octal) bytes.push(parseInt(octal, 8));
    else if (sign) bytes.push(SIGNS[sign] ?? sign.charCodeAt(0));
    else bytes.push(...new TextEncoder().encode(plain));
  }
  return new TextDecoder().decode(Uint8Array.from(bytes));
}

export type Row =
  | { kind: "file"; file: number }
  | { kind: "hunk"; file: number; head: string }
  | { kind: "line"; file: number; line: PatchLine }
  | { kind: "told"; file: number; text: string };

/** What is to be seen, one below the other; of a folded file only its head. */
export function rowsOf(files: readonly PatchFile[], folded: ReadonlySet<number>): Row[] {
  const rows: Row[] = [];
  files.forEach((file, index) => {
    rows.push({ kind: "file", file: index });
    if (folded.has(index)) return;
    const told = tellOf(file);
    if (told) rows.push({ kind: "told", file: index, text: told });
    for (const hunk of file.hunks) {
      rows.push({ kind: "hunk", file: index, head: hunk.head });
      for (const line of hunk.lines) rows.push({ kind: "line", file: index, line });
    }
  });
  return rows;
}

/** What is said of a file beside its lines; empty where they say it all. */
function tellOf(file: PatchFile): string {
  const told = [];
  if (file.from !== null) {
    told.push(`${file.change === "copied" ? "Copied from" : "Was"} ${file.from}.`);
  }
  if (file.mode) told.push(`Mode ${file.mode}.`);
  if (file.isBinary) told.push("A binary file: its bytes are not shown.");
  else if (file.hunks.length === 0 && told.length === 0) told.push("An empty file.");
  return told.join(" ");
}

/** Files of more changed lines than this begin folded. */
const LONG_LINES = 500;

/** Which files begin folded: long ones, unless there is nothing else to see. */
export function foldedAtFirst(files: readonly PatchFile[]): Set<number> {
  if (files.length < 2) return new Set();
  return new Set(
    files.flatMap((file, index) => (file.added + file.removed > LONG_LINES ? [index] : [])),
  );
}
