import { describe, expect, it } from "vitest";

import type { TaskNews } from "../api/types";
import { testTask } from "../tasks/testTask";
import { MyTasks, shownOf, type Notice } from "./mine";

function news(given: Partial<TaskNews> = {}): TaskNews {
  return {
    task: { id: "t1", name: "sort-words", owner_name: "ada", organization_id: "o" },
    deleted: false,
    status: "active",
    current_state: state("working"),
    at: "2026-01-01T00:00:00Z",
    ...given,
  };
}

function state(word: "working" | "idle" | "failed", message = ""): TaskNews["current_state"] {
  return { state: word, message, uri: "", timestamp: "2026-01-01T00:00:00Z" };
}

const asks = (id: string) => ({ kind: "permission" as const, id, title: "Write notes.txt" });

describe("my tasks", () => {
  it("counts those that wait for me", () => {
    const mine = new MyTasks();
    mine.begin([testTask({ id: "t1" }), testTask({ id: "t2", waiting_for: asks("p") })]);
    expect(mine.waiting).toBe(1);
    mine.hear(news({ waiting_for: asks("q") }));
    expect(mine.waiting).toBe(2);
    mine.hear(news({ deleted: true }));
    expect(mine.waiting).toBe(1);
  });

  it("tells once of each thing that a task waits for", () => {
    const mine = new MyTasks();
    expect(mine.hear(news({ waiting_for: asks("p") }))?.kind).toBe("waiting");
    expect(mine.hear(news({ waiting_for: asks("p") }))).toBeNull();
    expect(mine.hear(news({ waiting_for: asks("q") }))?.words).toBe("Write notes.txt");
  });

  it("tells of the end of a turn, and not of a task that was idle or is new", () => {
    const mine = new MyTasks();
    expect(mine.hear(news({ current_state: state("idle") }))).toBeNull();
    expect(mine.hear(news())).toBeNull();
    expect(mine.hear(news({ current_state: state("idle", "All sorted.") }))).toEqual({
      id: "t1",
      owner: "ada",
      kind: "ended",
      name: "sort-words",
      words: "All sorted.",
    });
    expect(mine.hear(news({ current_state: state("idle", "Again.") }))).toBeNull();
  });

  it("tells of a failure once, by the name that people gave", () => {
    const mine = new MyTasks();
    const task = { ...news().task, display_name: "Sort the words" };
    mine.hear(news());
    expect(mine.hear(news({ task, status: "error" }))?.name).toBe("Sort the words");
    expect(mine.hear(news({ task, status: "error" }))).toBeNull();
  });

  it("says nothing of one that failed before anybody looked, whatever else is new of it", () => {
    const mine = new MyTasks();
    expect(mine.hear(news({ status: "error" }))).toBeNull();
  });

  it("keeps what it heard while the tasks were read", () => {
    const mine = new MyTasks();
    mine.begin([testTask({ id: "t1", waiting_for: asks("p") }), testTask({ id: "t3" })]);
    mine.expect();
    mine.hear(news({ waiting_for: asks("p") }));
    mine.begin([testTask({ id: "t1" }), testTask({ id: "t2", waiting_for: asks("q") })]);
    expect(mine.waiting).toBe(2);
  });

  it("says nothing of a task that is paused by somebody", () => {
    const mine = new MyTasks();
    mine.hear(news());
    expect(mine.hear(news({ status: "paused" }))).toBeNull();
  });
});

describe("what is shown", () => {
  const notice = (id: string, kind: Notice["kind"] = "ended"): Notice => ({
    id,
    owner: "ada lovelace",
    kind,
    name: `Task ${id}`,
    words: "",
  });

  it("is the last notice of each task", () => {
    expect(shownOf([notice("a", "waiting"), notice("b"), notice("a", "failed")])).toEqual([
      {
        tag: "taskyard-a",
        title: "Task a failed",
        body: "",
        path: "/tasks/ada%20lovelace/a",
      },
      {
        tag: "taskyard-b",
        title: "Task b has ended its turn",
        body: "",
        path: "/tasks/ada%20lovelace/b",
      },
    ]);
  });

  it("is one for all after a sleep", () => {
    const many = ["a", "b", "c", "d"].map((id) => notice(id, id === "a" ? "waiting" : "ended"));
    expect(shownOf(many)).toEqual([
      {
        tag: "taskyard",
        title: "4 tasks have news",
        body: "1 of them waits for you.",
        path: "/tasks",
      },
    ]);
  });
});
