import { expect, it } from "vitest";

import { mayReload } from "./upgrade";

it("loads the page anew for a file that is gone, and not again and again", () => {
  expect(mayReload(0, 1_000_000)).toBe(true);
  expect(mayReload(1_000_000, 1_000_500)).toBe(false);
  expect(mayReload(1_000_000, 1_100_000)).toBe(true);
});
