import { expect, it } from "vitest";

import { overwritten, parseAnsi, stripAnsi } from "./ansi";
import { CUT_CHARS, CUT_LINE_CHARS, cut, oneLine, visible } from "./text";

it("shows what turns the direction, and other controls", () => {
  expect(visible("a\u202eb\u2066c\u0007d\te\n")).toBe("a⟨U+202E⟩b⟨U+2066⟩c␇d\te\n");
});

it("cuts long texts and long lines, and nothing else", () => {
  expect(cut("short")).toBeNull();
  expect(cut("x".repeat(CUT_CHARS + 1))).toHaveLength(CUT_CHARS);
  const line = "y".repeat(CUT_LINE_CHARS + 5);
  expect(cut(`a\n${line}`)).toHaveLength(2 + CUT_LINE_CHARS);
  expect(cut(`${"z\n".repeat(3000)}`)).toBeNull();
});

it("makes one line of many", () => {
  expect(oneLine("  a\n\n b\t c ")).toBe("a b c");
});

it("keeps colours and drops the rest of a terminal's language", () => {
  expect(parseAnsi("a\u001b[1;31mred\u001b[0m b\u001b[2J\u001b]0;title\u0007c")).toEqual([
    { text: "a", styles: [] },
    { text: "red", styles: ["fg1", "bold"] },
    { text: " b", styles: [] },
    { text: "c", styles: [] },
  ]);
  expect(parseAnsi("\u001b[38;2;1;2;3mx\u001b[38;5;9my")).toEqual([
    { text: "x", styles: [] },
    { text: "y", styles: ["fg1"] },
  ]);
  expect(stripAnsi("\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\")).toBe("link");
});

it("shows a progress line as it stood last", () => {
  expect(overwritten("10%\r50%\r100%\nok\r\n")).toBe("100%\nok\n");
});
