// The lines of a change, as a reader wants them: what went, what came, and a little around it.

export interface Line {
  sign: " " | "+" | "-" | "…";
  text: string;
}

/** Lines of each side that are compared exactly; the work grows with their product. */
const EXACT = 1500;
const AROUND = 3;

/** The changed lines with three around each; longer sides than 1,500 lines are shown as one block each. */
export function diffLines(before: string, after: string): Line[] {
  const old = before === "" ? [] : before.replace(/\n$/, "").split("\n");
  const fresh = after === "" ? [] : after.replace(/\n$/, "").split("\n");
  let start = 0;
  while (start < old.length && start < fresh.length && old[start] === fresh[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, fresh.length) - start;
  while (end < most && old[old.length - 1 - end] === fresh[fresh.length - 1 - end]) end += 1;
  const middle = compare(
    old.slice(start, old.length - end),
    fresh.slice(start, fresh.length - end),
  );
  const same = (lines: string[]): Line[] => lines.map((line) => ({ sign: " ", text: line }));
  return folded([...same(old.slice(0, start)), ...middle, ...same(old.slice(old.length - end))]);
}

function compare(old: string[], fresh: string[]): Line[] {
  const gone = (line: string): Line => ({ sign: "-", text: line });
  const come = (line: string): Line => ({ sign: "+", text: line });
  if (old.length === 0 || fresh.length === 0 || old.length > EXACT || fresh.length > EXACT) {
    return [...old.map(gone), ...fresh.map(come)];
  }
  // Longest common subsequence: table[i][j] is its length for what is behind i and j.
  const wide = fresh.length + 1;
  const table = new Uint16Array((old.length + 1) * wide);
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = fresh.length - 1; j >= 0; j--) {
      table[i * wide + j] =
        old[i] === fresh[j]
          ? table[(i + 1) * wide + j + 1]! + 1
          : Math.max(table[(i + 1) * wide + j]!, table[i * wide + j + 1]!);
    }
  }
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) {
      lines.push({ sign: " ", text: old[i]! });
      i += 1;
      j += 1;
    } else if (
      j >= fresh.length ||
      (i < old.length && table[(i + 1) * wide + j]! >= table[i * wide + j + 1]!)
    ) {
      lines.push(gone(old[i++]!));
    } else lines.push(come(fresh[j++]!));
  }
  return lines;
}

function folded(lines: Line[]): Line[] {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, at) => {
    if (line.sign === " ") return;
    near.fill(1, Math.max(0, at - AROUND), Math.min(lines.length, at + AROUND + 1));
  });
  const shown: Line[] = [];
  lines.forEach((line, at) => {
    if (near[at]) shown.push(line);
    else if (shown[shown.length - 1]?.sign !== "…") shown.push({ sign: "…", text: "" });
  });
  return shown;
}
