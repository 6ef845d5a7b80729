import { expect, it } from "vitest";

import { bootMs, bootOf, timeline } from "./phases";

const seen = (phase: string, state: string, ms: number | null = null) => ({
  phase,
  state,
  ms,
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
