import { expect, it } from "vitest";

import { testTask } from "../tasks/testTask";
import { queuedWords, waysOf } from "./compose";

const working = {
  timestamp: "2026-03-01T09:00:00Z",
  state: "working" as const,
  message: "",
  uri: "",
};

it("sends to a coding agent that rests, and queues behind a turn", () => {
  expect(waysOf(testTask())).toMatchObject({ first: "send", other: "queue", refusal: "" });
  expect(waysOf(testTask({ current_state: working }))).toMatchObject({
    first: "queue",
    other: "send",
  });
});

it("only queues while the task is paused, and nothing once its workspace is gone", () => {
  const paused = testTask({ status: "paused", workspace_status: "stopped" });
  expect(waysOf(paused)).toMatchObject({ first: "queue", other: null, refusal: "" });
  expect(waysOf(testTask({ status: "paused", workspace_status: "deleted" })).refusal).not.toBe("");
});

it("tells where a message stands that waits, and for what", () => {
  expect(queuedWords(2, "turn")).toBe("Queued at place 2: it waits until this turn ends.");
  expect(queuedWords(1, undefined)).toBe("Queued at place 1.");
});
