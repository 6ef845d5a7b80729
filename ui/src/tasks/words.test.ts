import { expect, it } from "vitest";

import { wordsOf } from "./words";

const message = (number: number, text: string) =>
  ({ number, kind: "agent_message", data: { text } }) as const;
const tool = (number: number, title: unknown) =>
  ({ number, kind: "tool_call", data: { title } }) as const;
const report = (number: number, summary: string) =>
  ({ number, kind: "report", data: { summary } }) as const;

it("is the last line that says something", () => {
  expect(wordsOf([message(1, "First.\n\n- All tests pass.\n\n```\n")], false)).toBe(
    "All tests pass.",
  );
  expect(wordsOf([message(1, "┌──┐\n│\n└──┘")], false)).toBe("");
  expect(wordsOf([], false)).toBe("");
});

it("is what was said last, and what is done while the coding agent works", () => {
  const items = [message(1, "I look."), report(2, "Half done"), tool(3, "Run the tests")];
  expect(wordsOf(items, true)).toBe("Run the tests");
  expect(wordsOf(items, false)).toBe("Half done");
  expect(wordsOf([tool(1, "Run the tests")], false)).toBe("Run the tests");
  expect(wordsOf([tool(1, undefined)], true)).toBe("");
});
