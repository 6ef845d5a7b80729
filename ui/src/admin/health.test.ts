import { expect, it } from "vitest";

import { bytes, fullness, milliseconds, outOf } from "./health";

it("says sizes with two digits or three", () => {
  expect(
    [0, 812, 4_200_000, 123_456_789, 9_990_000_000].map((n) => bytes(n).replace("\u00a0", " ")),
  ).toEqual(["0 B", "812 B", "4.2 MB", "123 MB", "10.0 GB"]);
});

it("says short waits to a tenth", () => {
  expect([0.41, 12.3].map(milliseconds)).toEqual(["0.4 ms", "12 ms"]);
});

it("says of how many, where there is a limit", () => {
  expect([outOf(3, 8), outOf(3, null), outOf(0, undefined)]).toEqual(["3 of 8", "3", "0"]);
});

it("says how full a disk is", () => {
  expect([fullness(25, 100), fullness(0, 100), fullness(0, 0)]).toEqual([75, 100, null]);
});
