import { expect, it } from "vitest";

import type { TaskPrompt } from "../api/types";
import { leftWords } from "./permissions";
import { troubled, troubleWords } from "./outcomes";

const prompt = (id: string, state: TaskPrompt["state"], settled_at: string): TaskPrompt => ({
  id,
  state,
  settled_at,
  position: null,
  source: "queue",
  input: id,
  input_truncated: false,
  created_at: settled_at,
  created_by: "ada",
  sent_at: settled_at,
  error: null,
  item_number: null,
});

it("tells of what went wrong until something has arrived, or somebody has read it", () => {
  const lost = prompt("lost", "uncertain", "2026-03-01T09:00:02Z");
  const early = prompt("early", "failed", "2026-03-01T09:00:00Z");
  const fine = prompt("fine", "delivered", "2026-03-01T09:00:01Z");
  const ids = (prompts: TaskPrompt[]) => prompts.map((one) => one.id);
  expect(ids(troubled([early, fine, lost], new Set()))).toEqual(["lost"]);
  expect(ids(troubled([early, lost], new Set()))).toEqual(["lost", "early"]);
  expect(ids(troubled([lost], new Set(["lost"])))).toEqual([]);
  expect(troubleWords(lost).title).toContain("not certain");
  expect(troubleWords({ ...early, error: "Too long." }).advice).toBe("Too long.");
});

it("says how long a question still waits", () => {
  expect(leftWords(1000, 2000)).toContain("now");
  expect(leftWords(30_000, 0)).toBe("Denied by itself in less than a minute.");
  expect(leftWords(12 * 60_000 + 5000, 0)).toBe("Denied by itself in 12 min.");
  expect(leftWords(120 * 60_000, 0)).toBe("Denied by itself in 2 h.");
});
