import { expect, test } from "vitest";

import { bytesWord, countWord, hoursToMs, hoursWord, nameFrom, nameProblem } from "./words";

test("names are those that the server takes", () => {
  for (const name of ["", "shell", "My-Agent2", "a".repeat(32)]) expect(nameProblem(name)).toBe("");
  for (const name of ["-a", "a--b", "a_b", "ä", "new", "create", "a".repeat(33)])
    expect(nameProblem(name)).not.toBe("");
});

test("a folder's name becomes one that can be taken", () => {
  expect(nameFrom("my_template (2)")).toBe("my-template-2");
  expect(nameFrom("agent.tar.gz")).toBe("agent");
  expect(nameFrom(`${"a".repeat(31)}-b`)).toBe("a".repeat(31));
  for (const name of ["new", "日本", ""]) expect(nameFrom(name)).toBe("");
});

test("sizes and counts for people", () => {
  expect([812, 3500, 12 * 1024 ** 2].map(bytesWord)).toEqual(["812 B", "3.4 KiB", "12 MiB"]);
  expect([countWord(1, "file"), countWord(1200, "file")]).toEqual(["1 file", "1,200 files"]);
});

test("hours go to the wire and back", () => {
  expect(hoursToMs("1.5")).toBe(5_400_000);
  expect(hoursWord(5_400_000)).toBe("1.5");
  expect([hoursToMs(""), hoursWord(0)]).toEqual([0, ""]);
  for (const typed of ["x", "-1", "0", "9000"]) expect(hoursToMs(typed)).toBeNull();
});
