import { expect, it } from "vitest";

import { bootMs, bootOf, queueWords, timeline } from "./phases";

const seen = (phase: string, state: string, ms: number | null = null) => ({
  phase,
  state,
  ms,
  at: "2026-03-01T09:00:00Z",
  reason: null,
});

it("shows all eight phases in their order, what has not begun as waiting", () => {
  const steps = timeline([seen("preparing", "began"), seen("queued", "done", 5)]);
  expect(steps.map((step) => step.state).slice(0, 3)).toEqual(["done", "running", "waiting"]);
  expect(steps).toHaveLength(8);
  expect(bootOf(steps)).toBe("running");
});

it("is usable when the coding agent is, and failed when anything is", () => {
  const done = [
    seen("queued", "done", 5),
    seen("coding_agent", "done", 7),
    seen("first_answer", "done", 9),
  ];
  expect(bootOf(timeline(done))).toBe("usable");
  expect(bootMs(timeline(done))).toBe(12);
  expect(bootOf(timeline([...done, seen("scripts", "failed", 1)]))).toBe("failed");
});

it("says since when a phase runs, and of no other", () => {
  const [queued, preparing] = timeline([seen("queued", "done", 5), seen("preparing", "began")]);
  expect(queued!.since).toBeNull();
  expect(preparing!.since).toBe(Date.parse("2026-03-01T09:00:00Z"));
});

it("says where a start stands that waits for room, and for what", () => {
  expect(queueWords(undefined)).toBe("");
  expect(queueWords({ position: 2, size: 5, reason: "user", limit: 3 })).toBe(
    "Place 2 of 5. At most 3 tasks of one person run at once.",
  );
  expect(queueWords({ position: 1, size: 1, reason: "server" })).toContain("Place 1 of 1.");
});
