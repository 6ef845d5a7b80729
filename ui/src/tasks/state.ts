// What a task is, for people: one word, one tone, one group, its last words. The facts are the server's.
import type { Task } from "../api/types";
import type { Tone } from "../design";

export type Facts = Pick<
  Task,
  "status" | "current_state" | "waiting_for" | "workspace_status" | "queue" | "failure"
>;

export type Word =
  | "waiting"
  | "queued"
  | "starting"
  | "working"
  | "idle"
  | "done"
  | "pausing"
  | "paused"
  | "deleting"
  | "failed"
  | "unclear";

export type Group = "waiting" | "working" | "idle" | "paused" | "failed";

export const GROUPS: readonly (readonly [group: Group, title: string])[] = [
  ["waiting", "Waiting for you"],
  ["working", "Working"],
  ["idle", "Idle"],
  ["paused", "Paused"],
  ["failed", "Failed"],
];

const LOOKS: Readonly<Record<Word, { label: string; tone: Tone; group: Group }>> = {
  waiting: { label: "Waiting", tone: "waiting", group: "waiting" },
  queued: { label: "Queued", tone: "starting", group: "working" },
  starting: { label: "Starting", tone: "starting", group: "working" },
  working: { label: "Working", tone: "working", group: "working" },
  idle: { label: "Idle", tone: "idle", group: "idle" },
  done: { label: "Done", tone: "done", group: "idle" },
  pausing: { label: "Pausing", tone: "paused", group: "paused" },
  paused: { label: "Paused", tone: "paused", group: "paused" },
  deleting: { label: "Deleting", tone: "paused", group: "paused" },
  failed: { label: "Failed", tone: "failed", group: "failed" },
  unclear: { label: "Unclear", tone: "failed", group: "failed" },
};

export function wordOf(task: Facts): Word {
  if (task.waiting_for) return "waiting";
  switch (task.status) {
    case "pending":
      return "queued";
    case "initializing":
      return "starting";
    case "paused":
      return "paused";
    case "error":
      return "failed";
    case "unknown":
      if (task.workspace_status === "stopping") return "pausing";
      if (task.workspace_status === "deleting") return "deleting";
      // Until the task is read again after news of it, its workspace's word is an old one.
      return task.workspace_status === "running" ? "pausing" : "unclear";
    case "active":
      return ofCodingAgent(task);
  }
}

function ofCodingAgent(task: Facts): Word {
  switch (task.current_state?.state) {
    case "working":
      return "working";
    case "complete":
      return "done";
    case "failed":
      return "failed";
    default:
      return "idle";
  }
}

export const lookOf = (task: Facts) => LOOKS[wordOf(task)];

/** What is to be read first of a task: what it asks, why it failed, what it is at. */
export function lastWords(task: Facts): string {
  if (task.waiting_for) return task.waiting_for.title;
  if (task.status === "error" && task.failure) return task.failure.reason;
  if (task.status === "pending" && task.queue && task.queue.size > 1) {
    return `Place ${task.queue.position} of ${task.queue.size} in the queue.`;
  }
  if (task.status === "paused" && task.current_state?.state === "working") return "";
  return task.current_state?.message ?? "";
}
