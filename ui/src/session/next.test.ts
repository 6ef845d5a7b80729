import { expect, it } from "vitest";

import { safeNext } from "./next";

it("leads nowhere but to this page", () => {
  expect(safeNext("/tasks/ada/x?y=1")).toBe("/tasks/ada/x?y=1");
  for (const bad of [
    "//evil.example",
    "/\\evil",
    "https://evil.example",
    "",
    undefined,
    "/login?next=/",
  ]) {
    expect(safeNext(bad)).toBe("/tasks");
  }
});
