import { expect, test } from "vitest";

import type { LogLine } from "../task/tabs/logLines";
import { around, problemOf, problemsOf } from "./problems";

test("a place is a file, with a line or without", () => {
  expect(problemOf('taskyard.toml:7: workspace.memroy: unknown key "memroy"')).toEqual({
    file: "taskyard.toml",
    line: 7,
    text: 'workspace.memroy: unknown key "memroy"',
  });
  expect(problemOf("taskyard.toml: is missing")).toEqual({
    file: "taskyard.toml",
    line: null,
    text: "is missing",
  });
  expect(problemOf("my folder/taskyard.toml:2: no").file).toBe("my folder/taskyard.toml");
});

test("other words before a colon are no file", () => {
  for (const said of ["internal: the archive is gone", "no colon at all", ": 1: x"])
    expect(problemOf(said)).toEqual({ file: "", line: null, text: said });
});

const line = (id: number, level: LogLine["level"], text: string): LogLine => ({
  log: "a",
  id,
  at: 0,
  level,
  source: "Checking the template",
  text,
});

test("each error line of the log is a problem; without one, the error of the import is", () => {
  const lines = [
    line(1, "info", "2 files"),
    line(2, "error", "a.toml:3: x"),
    line(3, "error", "y"),
  ];
  expect(problemsOf(lines, "The template is not right: a.toml:3: x")).toEqual([
    { file: "a.toml", line: 3, text: "x", logged: 2 },
    { file: "", line: null, text: "y", logged: 3 },
  ]);
  expect(problemsOf(lines.slice(0, 1), "It took too long.")).toEqual([
    { file: "", line: null, text: "It took too long.", logged: null },
  ]);
  expect(problemsOf([...lines, line(4, "error", "All of it: x")], "All of it: x")).toHaveLength(2);
  expect(problemsOf([line(4, "error", "No room.")], "No room.")).toEqual([
    { file: "", line: null, text: "No room.", logged: 4 },
  ]);
  expect(problemsOf([], "")).toEqual([]);
});

test("the lines around a place stop at both ends", () => {
  const source = "1\n2\r\n3\n4\n5\n6";
  expect(around(source, 4).map(({ number }) => number)).toEqual([2, 3, 4, 5, 6]);
  expect(around(source, 1).map(({ text }) => text)).toEqual(["1", "2", "3"]);
  expect(around(source, 7)).toEqual([]);
});
