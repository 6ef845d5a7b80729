import { expect, it } from "vitest";

import { age, span } from "./time";

it("says an age in one word", () => {
  const ages = [0, 12, 90, 3600 * 3, 86_400 * 9, 86_400 * 70, 86_400 * 800];
  expect(ages.map((s) => age(0, s * 1000))).toEqual(["now", "12s", "1m", "3h", "9d", "2mo", "2y"]);
  expect(age(5000, 0)).toBe("now");
});

it("says a length of time", () => {
  expect([260, 4210, 59_600, 65_000, 7_380_000].map(span)).toEqual([
    "0.26 s",
    "4.2 s",
    "1 min 0 s",
    "1 min 5 s",
    "2 h 3 min",
  ]);
});
