import { expect, test } from "vitest";

import { testTask } from "../../tasks/testTask";
import { standingOf } from "./standing";
import { readTab } from "./tabs";

test("an address names a tab, and anything else is the conversation", () => {
  expect(readTab("files")).toBe("files");
  expect(readTab("nonsense")).toBe("conversation");
  expect(readTab(undefined)).toBe("conversation");
  expect(readTab(["log"])).toBe("conversation");
});

const running = testTask({ workspace_agent_id: "a" });

test("a workspace that runs may be asked, also after the task failed", () => {
  expect(standingOf(running, false, "")).toBeNull();
  expect(standingOf({ ...running, status: "error" }, false, "")).toBeNull();
});

test("a paused task can be resumed, a deleted one cannot", () => {
  const paused = { ...running, status: "paused", workspace_status: "stopped" } as const;
  expect(standingOf(paused, false, "to look")).toMatchObject({ canResume: true });
  expect(standingOf(paused, false, "to look")?.detail).toContain("Resume it to look.");
  expect(standingOf(paused, true, "")).toMatchObject({ canResume: false });
});

test("what is on its way is waited for", () => {
  const starting = { ...running, status: "initializing", workspace_agent_id: null } as const;
  expect(standingOf(starting, false, "")?.title).toContain("starting");
  expect(standingOf({ ...running, workspace_status: "stopping" }, false, "")?.canResume).toBe(
    false,
  );
});
