import { describe, expect, test } from "vitest";

import type { Parameter, Preset } from "../api/types";
import {
  entriesOf,
  missingOf,
  problemsOf,
  problemWith,
  startingValues,
  valuesToSend,
} from "./values";

const parameter = (given: Partial<Parameter>): Parameter => ({
  name: "size",
  description: "",
  description_plaintext: "",
  type: "string",
  form_type: "input",
  mutable: false,
  default_value: "",
  icon: "",
  options: [],
  required: false,
  ephemeral: false,
  ...given,
});

const preset = (values: Record<string, string>): Preset => ({
  ID: "11111111-1111-4111-8111-111111111111",
  Name: "Large",
  Parameters: Object.entries(values).map(([Name, Value]) => ({ Name, Value })),
  Default: false,
  DesiredPrebuildInstances: null,
  Description: "",
  Icon: "",
});

describe("problemWith", () => {
  const number = parameter({ type: "number", validation_min: 2, validation_max: 8 });
  const choice = parameter({ options: [{ name: "A", value: "a", description: "", icon: "" }] });

  test.each([
    ["a free text may be empty", parameter({}), "", ""],
    ["one without a default may not", parameter({ required: true }), "", "A value is needed."],
    ["a number that was cleared", number, "", "A value is needed."],
    ["a choice that nobody made", choice, "", "A value is needed."],
    ["a number", number, "4", ""],
    ["a fraction", number, "4.5", "Give a whole number."],
    ["blanks around it", number, " 4", "Give a whole number."],
    ["too small", number, "1", "It must be at least 2."],
    ["too large", number, "9", "It may be at most 8."],
    ["more digits than a float has", parameter({ type: "number" }), "900719925474099312", ""],
    ["a pattern anywhere", parameter({ validation_regex: "b+" }), "abbc", ""],
    ["a pattern nowhere", parameter({ validation_regex: "^b" }), "abc", "It must match ^b."],
  ])("%s", (_, asked, value, problem) => {
    expect(problemWith(asked, value)).toBe(problem);
  });

  test("the template's own words go first", () => {
    const asked = parameter({ ...number, validation_error: "2 to 8 cores" });
    expect(problemWith(asked, "9")).toBe("2 to 8 cores");
  });

  test("what this browser cannot try, or could try for ever, is left to the server", () => {
    for (const regex of ["(?i)^x$", "^(a+)+$", "^(a|aa)*$", "a*a*a*a*b", "(?P<x>y)", "["]) {
      expect(problemWith(parameter({ validation_regex: regex }), "a".repeat(60))).toBe("");
    }
    expect(problemWith(parameter({ validation_regex: "^b" }), "a".repeat(300))).toBe("");
  });
});

test("what is sent is what differs from what is in force without it", () => {
  const asked = [
    parameter({ name: "size", default_value: "s" }),
    parameter({ name: "count", type: "number", default_value: "1" }),
    parameter({ name: "note" }),
  ];
  const starting = startingValues(asked, preset({ size: "xl", gone: "1" }));
  expect(starting).toEqual({ size: "xl", count: "1", note: "" });
  expect(valuesToSend(asked, starting, starting)).toEqual([]);
  const values = { ...starting, size: "s", note: "now" };
  expect(valuesToSend(asked, starting, values)).toEqual([
    { name: "size", value: "s" },
    { name: "note", value: "now" },
  ]);
  expect(problemsOf(asked, { ...values, count: "x" })).toEqual({ count: "Give a whole number." });
});

test("entries of what is no list", () => {
  expect(entriesOf('["a","b"]')).toEqual(["a", "b"]);
  expect(entriesOf('{"a":1}')).toEqual([]);
  expect(entriesOf("")).toEqual([]);
});

test("secrets that are missing", () => {
  const entries = ["A|B", "C", "D|"];
  expect(missingOf(entries, [])).toEqual([["A", "B"], ["C"]]);
  expect(missingOf(entries, ["B", "C"])).toEqual([]);
});
