import { expect, it } from "vitest";

import { daysOf, daysProblem, lifetimeOf, offeredDays, secretNameProblem, when } from "./words";

const NOW = Date.parse("2026-03-01T12:00:00Z");

it("says times before and after, and those that never came", () => {
  const times = [
    "2026-03-01T11:59:58Z",
    "2026-03-01T09:00:00Z",
    "2026-03-30T13:00:00Z",
    "2026-03-31T11:59:55Z",
    "2026-03-01T20:00:00Z",
    "0001-01-01T00:00:00Z",
  ];
  const words = ["just now", "3h ago", "in 29d", "in 30d", "in 8h", "never"];
  expect(times.map((at) => when(at, NOW))).toEqual(words);
});

it("keeps nanoseconds exact, so that a token lives as long as was asked", () => {
  expect(JSON.stringify(lifetimeOf(365))).toBe("31536000000000000");
  expect(JSON.stringify(lifetimeOf(36_500))).toBe("3153600000000000000");
  expect(daysOf(3_153_600_000_000_000_000)).toBe(36_500);
});

it("offers no lifetime beyond the longest", () => {
  expect(offeredDays(36_500)).toEqual([1, 7, 30, 90, 365]);
  expect(offeredDays(30)).toEqual([1, 7, 30]);
});

it("says what is wrong with a number of days", () => {
  expect(["12", "0", "1.5", "", "99999"].map((text) => daysProblem(text, 100))).toEqual([
    "",
    "Give a whole number of days.",
    "Give a whole number of days.",
    "Give a whole number of days.",
    "100 days are the most.",
  ]);
});

it("takes names of variables for secrets", () => {
  expect(["", "NPM_TOKEN", "_x1"].map(secretNameProblem)).toEqual(["", "", ""]);
  expect(["1A", "A-B", "A B", "Ä"].every((name) => secretNameProblem(name) !== "")).toBe(true);
});
