import { expect, it } from "vitest";

import { bytes, milliseconds, outOf, statusOf } from "./health";

it("says sizes with two digits or three", () => {
  expect([0, 812, 4_200_000, 123_456_789, 9_990_000_000].map(bytes)).toEqual([
    "0 B",
    "812 B",
    "4.2 MB",
    "123 MB",
    "10.0 GB",
  ]);
});

it("says short waits to a tenth", () => {
  expect([0.41, 12.3].map(milliseconds)).toEqual(["0.4 ms", "12 ms"]);
});

it("says of how many, where there is a limit", () => {
  expect([outOf(3, 8), outOf(3, null), outOf(0, undefined)]).toEqual(["3 of 8", "3", "0"]);
});

it("shows a status that it does not know as it is", () => {
  expect(statusOf("away")).toEqual(["Away", "failed"]);
  expect(statusOf("resting")).toEqual(["resting", "paused"]);
});
