import { expect, test } from "vitest";

import { countsOf, placeOf, reasonOf, requestOf } from "./network";

test("a place is written as people write it", () => {
  expect(placeOf({ host: "example.org", port: 443 })).toBe("example.org:443");
  expect(placeOf({ host: "2001:db8::1", port: 443 })).toBe("[2001:db8::1]:443");
  expect(placeOf({ host: "what was asked for", port: null })).toBe("what was asked for");
});

test("a request that nobody read is left out", () => {
  expect(requestOf({ method: "POST", path: "/x" })).toBe("POST /x");
  expect(requestOf({ method: null, path: null })).toBe("");
});

test("a reason of a later release is shown as its own words", () => {
  expect(reasonOf("host_not_listed")[1]).not.toBe("");
  expect(reasonOf("moon_too_full")).toEqual(["moon too full", ""]);
});

test("attempts are counted, not places", () => {
  const rows = [
    { verdict: "refused", count: 3 },
    { verdict: "refused", count: 2 },
    { verdict: "allowed", count: 1 },
  ] as const;
  expect(countsOf(rows)).toEqual({ allowed: 1, refused: 5, failed: 0 });
});
