// Which way a message goes: at once, or into the queue.
import type { Task } from "../api/types";
import { wordOf } from "../tasks/state";
import { refusal } from "../tasks/verbs";

export type Way = "send" | "queue";

export interface Ways {
  /** What Ctrl-Enter does. */
  first: Way;
  /** The other one, where it makes sense. */
  other: Way | null;
  /** Why nothing can be sent at all; empty when something can. */
  refusal: string;
  placeholder: string;
}

/** The ways that are open: past the queue while a turn runs would be refused, so then it is the queue. */
export function waysOf(task: Task): Ways {
  const why = refusal("queue", task);
  const closed = { first: "queue", other: null, refusal: why } as const;
  if (why) return { ...closed, placeholder: why };
  if (refusal("send", task)) {
    const placeholder =
      task.status === "paused"
        ? "Waits until the task is resumed"
        : "Waits until the task can take it";
    return { ...closed, placeholder };
  }
  const word = wordOf(task);
  if (word === "working" || word === "waiting") {
    const placeholder = "Waits until this turn ends";
    return { first: "queue", other: "send", refusal: "", placeholder };
  }
  return { first: "send", other: "queue", refusal: "", placeholder: "Write to the coding agent" };
}

/** What a queue waits for, for people. */
export const WAITS: Readonly<Record<string, string>> = {
  turn: "until this turn ends",
  answer: "for your answer above",
  start: "until the task has started",
  resume: "until the task is resumed",
  repair: "until the task works again",
  failure: "because the last turn failed: send something now, or pause and resume",
};

export const waitWords = (wait: string): string => WAITS[wait] ?? "";

/** What is told of a message that went into the queue. */
export function queuedWords(position: number, wait: string | undefined): string {
  const words = wait ? waitWords(wait) : "";
  return words ? `Queued at place ${position}: it waits ${words}.` : `Queued at place ${position}.`;
}

const DRAFTS = "taskyard-draft:";

export function draftOf(id: string): string {
  try {
    return sessionStorage.getItem(DRAFTS + id) ?? "";
  } catch {
    return "";
  }
}

export function keepDraft(id: string, text: string): void {
  try {
    if (text) sessionStorage.setItem(DRAFTS + id, text);
    else sessionStorage.removeItem(DRAFTS + id);
  } catch {
    // Then it is kept only while the page is open.
  }
}
