import { describe, expect, it } from "vitest";

import { blocks, fold, FOLD_LINES, grouped } from "./long";

const numbered = (count: number) =>
  Array.from({ length: count }, (_, n) => `line ${n + 1}`).join("\n");
const textOf = (text: string, isOutput = false) =>
  blocks(text, isOutput).map((block) => block.pieces.map((piece) => piece.text).join(""));

describe("a folded text", () => {
  it("is whole while it is short", () => {
    expect(fold("a\nb\n", "tail")).toEqual({ shown: "a\nb", lines: 2, isCut: false });
    expect(fold(numbered(FOLD_LINES + 5), "head").isCut).toBe(false);
  });

  it("shows its beginning or its end, and says how long it is", () => {
    const head = fold(numbered(500), "head");
    expect(head.shown.split("\n")).toHaveLength(FOLD_LINES);
    expect(head.shown.startsWith("line 1\n")).toBe(true);
    const tail = fold(`${numbered(500)}\n`, "tail");
    expect(tail.shown.split("\n")).toHaveLength(FOLD_LINES);
    expect(tail.shown.endsWith("line 500")).toBe(true);
    expect(tail.lines).toBe(500);
  });

  it("cuts a line of a megabyte", () => {
    const { shown, lines, isCut } = fold("x".repeat(1_000_000), "tail");
    expect(shown.length).toBeLessThan(3000);
    expect([lines, isCut]).toEqual([1, true]);
  });
});

describe("blocks", () => {
  it("have every line once, none of them too many", () => {
    const made = blocks(numbered(50_000), true);
    expect(made.length).toBeGreaterThan(400);
    expect(Math.max(...made.map((block) => block.lines))).toBeLessThanOrEqual(100);
    expect(made.reduce((sum, block) => sum + block.lines, 0)).toBe(50_000);
    expect(textOf(numbered(50_000), true).join("\n")).toBe(numbered(50_000));
  });

  it("break a line that is longer than a block, but no character", () => {
    const long = "ab😀".repeat(3000);
    const made = textOf(long);
    expect(made.length).toBeGreaterThan(2);
    expect(made.join("")).toBe(long);
    expect(made.every((part) => !/^[\udc00-\udfff]|[\ud800-\udbff]$/.test(part))).toBe(true);
  });

  it("keep colours over their borders, and blank lines", () => {
    const [one] = blocks("\u001b[31mred\n\nstill\u001b[0m plain", true);
    expect(one!.pieces.map((piece) => [piece.text, piece.styles.join()])).toEqual([
      ["red\n\nstill", "fg1"],
      [" plain", ""],
    ]);
    expect(textOf("a\n\nb\n")).toEqual(["a\n\nb"]);
    expect(textOf("")).toEqual([""]);
  });
});

it("groups the digits of large numbers", () => {
  expect([grouped(7), grouped(1234), grouped(50_000), grouped(1_000_000)]).toEqual([
    "7",
    "1,234",
    "50,000",
    "1,000,000",
  ]);
});
