import { expect, test } from "vitest";

import { asText, graveOnly, LogBook, type Level } from "./logLines";

const line = (id: number, at: number, text = `line ${id}`, level: Level = "info") => ({
  id,
  at,
  level,
  source: "s",
  text,
});

test("two logs become one by their times; equal times keep the order in which they came", () => {
  const book = new LogBook();
  book.add("build", [line(1, 10), line(2, 30)]);
  book.add("agent", [line(1, 20), line(2, 30)]);
  expect(book.lines.map(({ log, id }) => `${log} ${id}`)).toEqual([
    "build 1",
    "agent 1",
    "build 2",
    "agent 2",
  ]);
});

test("lines that are known already are not shown twice", () => {
  const book = new LogBook();
  let news = 0;
  book.watch(() => (news += 1));
  book.add("a", [line(1, 1), line(2, 2)]);
  book.add("a", [line(2, 2), line(3, 3)]);
  book.add("a", [line(3, 3)]);
  expect(book.lines).toHaveLength(3);
  expect(book.last("a")).toBe(3);
  expect(book.last("b")).toBe(0);
  expect(news).toBe(2);
});

test("what is copied has time, level and who wrote it", () => {
  const book = new LogBook();
  book.add("a", [line(1, 0, "x", "warn"), line(2, 1000, "y")]);
  expect(asText(book.lines)).toBe(
    "1970-01-01T00:00:00Z [warn] s: x\n1970-01-01T00:00:01Z [info] s: y\n",
  );
  expect(graveOnly(book.lines)).toHaveLength(1);
});

test("fifty thousand lines are kept in order", () => {
  const book = new LogBook();
  book.add(
    "a",
    Array.from({ length: 50_000 }, (_, index) => line(index + 1, index)),
  );
  book.add("b", [line(1, 25_000.5)]);
  expect(book.lines[25_001]).toMatchObject({ log: "b" });
});
