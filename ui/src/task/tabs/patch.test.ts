import { describe, expect, test } from "vitest";

import { foldedAtFirst, parsePatch, rowsOf, unquote } from "./patch";

const MODIFIED = `diff --git a/src/a b.ts b/src/a b.ts
index 1..2 100644
--- a/src/a b.ts\t
+++ b/src/a b.ts\t
@@ -1,3 +1,3 @@ function a() {
 one
-two
+TWO
 three
\\ No newline at end of file
`;

describe("a changed file", () => {
  const [file] = parsePatch(MODIFIED);
  test("has its path, with blanks, and its counts", () => {
    expect(file).toMatchObject({ path: "src/a b.ts", change: "changed", added: 1, removed: 1 });
  });
  test("has its lines with their numbers on both sides", () => {
    const lines = file!.hunks[0]!.lines;
    expect(lines.map(({ sign, old, fresh }) => [sign, old, fresh])).toEqual([
      [" ", 1, 1],
      ["-", 2, null],
      ["+", null, 2],
      [" ", 3, 3],
      ["\\", null, null],
    ]);
  });
});

test("a removed line that looks like a header stays a line", () => {
  const [file, other] = parsePatch(`diff --git a/x b/x
--- a/x
+++ b/x
@@ -1,2 +1,1 @@
--- a/evil
-diff --git a/y b/y
+++ b/evil
`);
  expect(other).toBeUndefined();
  expect(file).toMatchObject({ path: "x", added: 1, removed: 2 });
  expect(file!.hunks[0]!.lines[0]!.text).toBe("-- a/evil");
});

test("new, deleted, renamed, binary and empty files are told", () => {
  const files = parsePatch(`diff --git a/new b/new
new file mode 100644
index 0..0
diff --git a/old b/old
deleted file mode 100644
--- a/old
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/was here b/is there
similarity index 100%
rename from was here
rename to is there
diff --git a/pic.png b/pic.png
old mode 100644
new mode 100755
index 1..2
Binary files a/pic.png and b/pic.png differ
`);
  expect(files.map(({ path, change, isBinary }) => [path, change, isBinary])).toEqual([
    ["new", "added", false],
    ["old", "deleted", false],
    ["is there", "renamed", false],
    ["pic.png", "changed", true],
  ]);
  const told = rowsOf(files, new Set()).flatMap((row) => (row.kind === "told" ? [row.text] : []));
  expect(told).toEqual([
    "An empty file.",
    "Was was here.",
    "Mode 100644 → 100755. A binary file: its bytes are not shown.",
  ]);
});

test("paths in quotes are read as the bytes that they are", () => {
  expect(unquote('"a\\303\\244\\t\\"b\\\\"')).toBe('aä\t"b\\');
  expect(unquote("plain")).toBe("plain");
  const [file] = parsePatch('diff --git "a/\\303\\244" "b/\\303\\244"\nnew file mode 100644\n');
  expect(file!.path).toBe("ä");
});

test("a file's part of the text is its own", () => {
  const text = MODIFIED + MODIFIED.replaceAll("a b.ts", "c.ts");
  const files = parsePatch(text);
  expect(text.slice(...files[0]!.span)).toBe(MODIFIED);
  expect(text.slice(...files[1]!.span)).toContain("c.ts");
});

test("ten thousand lines are read at once, and begin folded beside others", () => {
  const long = "x\n".repeat(10_000).replaceAll("x", "+x");
  const text = `diff --git a/l b/l\n--- a/l\n+++ b/l\n@@ -0,0 +1,10000 @@\n${long}${MODIFIED}`;
  const files = parsePatch(text);
  expect(files[0]!.added).toBe(10_000);
  const folded = foldedAtFirst(files);
  expect([...folded]).toEqual([0]);
  expect(rowsOf(files, folded)).toHaveLength(1 + 1 + 1 + 5);
});

test("what is cut in the middle shows what there is", () => {
  expect(parsePatch(MODIFIED.slice(0, 110))[0]!.hunks).toHaveLength(1);
  expect(parsePatch("no difference at all\n")).toEqual([]);
});
