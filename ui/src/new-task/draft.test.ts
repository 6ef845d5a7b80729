import { beforeEach, expect, test, vi } from "vitest";

import { EMPTY, isBegun, keepDraft, readDraft } from "./draft";

const DRAFT = { ...EMPTY, template: "shell", input: "count", edits: { size: "xl" } };

let kept: Map<string, string>;

beforeEach(() => {
  kept = new Map();
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
});

test("a draft is kept for its user alone", () => {
  keepDraft("u1", DRAFT);
  expect(readDraft("u1")).toEqual(DRAFT);
  expect(readDraft("u2")).toBeNull();
});

test("a template alone is nothing that anybody began", () => {
  expect(isBegun({ ...EMPTY, template: "shell" })).toBe(false);
  expect(isBegun({ ...EMPTY, input: " \n" })).toBe(false);
  expect(isBegun(DRAFT)).toBe(true);
});

test("what is no draft of this release is none", () => {
  keepDraft("u1", DRAFT);
  const [key] = kept.keys();
  for (const wrong of ["", "{", "null", "[]", '{"input":1}', '{"input":"x","edits":null}']) {
    kept.set(key!, wrong);
    expect(readDraft("u1")).toBeNull();
  }
});

test("a browser that keeps nothing is no error", () => {
  const refuse = () => {
    throw new Error("refused");
  };
  vi.stubGlobal("localStorage", { getItem: refuse, setItem: refuse, removeItem: refuse });
  keepDraft("u1", DRAFT);
  expect(readDraft("u1")).toBeNull();
});
