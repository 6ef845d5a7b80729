import { describe, expect, it } from "vitest";

import type { Task, TaskNews } from "../api/types";
import { listing, readSearch } from "./filter";
import { lastWords, lookOf, wordOf } from "./state";
import { TaskStore, type Page, type Reader } from "./store";
import { testTask } from "./testTask";
import { refusal } from "./verbs";

const state = (word: "working" | "idle" | "complete" | "failed", message = "") => ({
  timestamp: "2026-03-01T09:00:01Z",
  state: word,
  message,
  uri: "",
});

describe("what a task is", () => {
  it("waits for a person before anything else", () => {
    const waiting_for = { kind: "permission", id: "p", title: "Run make" };
    const task = testTask({ waiting_for, current_state: state("working") });
    expect(wordOf(task)).toBe("waiting");
    expect(lastWords(task)).toBe("Run make");
  });

  it("says by status and by what the coding agent does where it belongs", () => {
    const of = (given: Partial<Task>) => lookOf(testTask(given)).group;
    expect(of({ status: "pending" })).toBe("working");
    expect(of({ status: "initializing" })).toBe("working");
    expect(of({ current_state: state("working") })).toBe("working");
    expect(of({ current_state: state("complete") })).toBe("idle");
    expect(of({ current_state: null })).toBe("idle");
    expect(of({ current_state: state("failed") })).toBe("failed");
    expect(of({ status: "error" })).toBe("failed");
    expect(of({ status: "unknown", workspace_status: "stopping" })).toBe("paused");
    expect(of({ status: "paused" })).toBe("paused");
  });
});

describe("verbs", () => {
  it("follows what the server refuses", () => {
    const running = testTask();
    expect(refusal("pause", running)).toBe("");
    expect(refusal("resume", running)).not.toBe("");
    const paused = testTask({ status: "paused", workspace_status: "stopped" });
    expect(refusal("resume", paused)).toBe("");
    expect(refusal("interrupt", paused)).not.toBe("");
    expect(refusal("queue", paused)).toBe("");
    const failed = testTask({ status: "error", workspace_status: "failed" });
    expect([
      refusal("retry", failed),
      refusal("resume", failed),
      refusal("delete", failed),
    ]).toEqual(["", "", ""]);
    expect(refusal("delete", testTask({ workspace_status: "starting" }))).not.toBe("");
  });
});

describe("the list", () => {
  const tasks = [
    testTask({ id: "1", created_at: "2026-03-01T09:00:00Z" }),
    testTask({ id: "2", created_at: "2026-03-02T09:00:00Z", display_name: "Write docs" }),
    testTask({ id: "3", status: "error", owner_id: "other" }),
  ];
  const ids = (rows: ReturnType<typeof listing>["rows"]) =>
    rows.map((row) => (row.kind === "task" ? row.task.id : row.group));

  it("groups, and shows the newest first", () => {
    expect(ids(listing(tasks, {}, "u").rows)).toEqual(["idle", "2", "1", "failed", "3"]);
  });

  it("filters by words, group and owner, and counts groups whatever group is chosen", () => {
    expect(ids(listing(tasks, { q: "docs SHELL" }, "u").rows)).toEqual(["idle", "2"]);
    expect(ids(listing(tasks, { owner: "me" }, "u").rows)).toEqual(["idle", "2", "1"]);
    const failed = listing(tasks, { state: "failed" }, "u");
    expect(ids(failed.rows)).toEqual(["failed", "3"]);
    expect(failed.counts.idle).toBe(2);
  });

  it("takes from the address only what makes sense", () => {
    expect(readSearch({ q: 42, state: "idle", owner: "you", x: 1 })).toEqual({
      q: "42",
      state: "idle",
    });
    expect(readSearch({ state: "nonsense" })).toEqual({});
  });

  it("holds 10,000 tasks", () => {
    const many = Array.from({ length: 10_000 }, (_, i) => testTask({ id: String(i) }));
    expect(listing(many, { q: "bug" }, "u").total).toBe(10_000);
  });
});

describe("the store", () => {
  const news = (id: string, given: Partial<TaskNews> = {}): TaskNews => ({
    task: { id, name: id, owner_name: "ada", organization_id: "o" },
    status: "active",
    current_state: state("working", "At it."),
    at: "2026-03-01T09:00:01Z",
    deleted: false,
    ...given,
  });

  function storeOf(pages: Page[], one: (id: string) => Task | null = () => null) {
    const asked: string[] = [];
    const runs: (() => void)[] = [];
    const reader: Reader = {
      page: async (token, size) => {
        asked.push(`${token}:${size}`);
        return pages[asked.length - 1]!;
      },
      one: async (_, id) => {
        asked.push(id);
        return one(id);
      },
    };
    const store = new TaskStore(reader, (run) => runs.push(run));
    const settle = async () => {
      for (let i = 0; i < 20; i++) {
        while (runs.length) runs.shift()!();
        await Promise.resolve();
      }
    };
    return { store, asked, settle };
  }

  it("reads a small page first, then large ones, until all are here", async () => {
    const { store, asked, settle } = storeOf([
      { tasks: [testTask({ id: "1" })], next: "a" },
      { tasks: [testTask({ id: "2" })], next: null },
    ]);
    await store.load();
    await settle();
    expect(asked).toEqual([":50", "a:1000"]);
    expect([...store.get().tasks.keys()]).toEqual(["1", "2"]);
    expect(store.get().isComplete).toBe(true);
  });

  it("shows the first page even when it is asked for anew meanwhile, and then reads all of it", async () => {
    const first = { tasks: [testTask({ id: "1" })], next: "a" };
    const { store, asked, settle } = storeOf([first, first, { tasks: [], next: null }]);
    const loading = store.load();
    void store.load();
    await loading;
    await settle();
    expect(asked).toEqual([":50", ":50", "a:1000"]);
    expect([...store.get().tasks.keys()]).toEqual(["1"]);
    expect(store.get().isComplete).toBe(true);
  });

  it("shows news at once, and reads a task whose status changed or that is new", async () => {
    const fresh = testTask({ id: "2", display_name: "New one" });
    const { store, asked, settle } = storeOf(
      [{ tasks: [testTask({ id: "1" })], next: null }],
      () => fresh,
    );
    await store.load();
    store.hear(news("1"));
    store.hear(news("2"));
    await settle();
    expect(store.get().tasks.get("1")?.current_state?.message).toBe("At it.");
    expect(asked).toEqual([":50", "2"]);
    expect(store.get().tasks.get("2")?.display_name).toBe("New one");
  });

  it("does not bring back a task that was deleted while the list was read", async () => {
    const { store, settle } = storeOf([{ tasks: [testTask({ id: "1" })], next: null }]);
    await store.load();
    store.hear(news("1", { deleted: true }));
    await settle();
    expect(store.get().tasks.size).toBe(0);
  });

  it("drops what is no longer in the list when it is read anew", async () => {
    const { store, settle } = storeOf([
      { tasks: [testTask({ id: "1" }), testTask({ id: "2" })], next: null },
      { tasks: [testTask({ id: "2" })], next: null },
    ]);
    await store.load();
    await store.load();
    await settle();
    expect([...store.get().tasks.keys()]).toEqual(["2"]);
  });
});
