// What somebody began to ask for and did not send: kept in this browser until the task is made, and its template longer.
import type { Values } from "./values";

export interface Draft {
  /** Id of the template; empty for none chosen yet. */
  template: string;
  /** Name of the preset; empty for none, null while nobody chose. */
  preset: string | null;
  /** What was changed by hand, by parameter. */
  edits: Values;
  input: string;
  title: string;
  /** For whom; empty for oneself. */
  owner: string;
}

export const EMPTY: Draft = {
  template: "",
  preset: null,
  edits: {},
  input: "",
  title: "",
  owner: "",
};

const keyOf = (user: string) => `taskyard:new-task:${user}`;

/** The draft of a user in this browser; null for none, or for one that an other release wrote. */
export function readDraft(user: string): Draft | null {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(keyOf(user)) ?? "null");
    return isDraft(kept) ? kept : null;
  } catch {
    return null;
  }
}

/** Keeps a draft. A browser that keeps nothing is no error. */
export function keepDraft(user: string, draft: Draft): void {
  try {
    localStorage.setItem(keyOf(user), JSON.stringify(draft));
  } catch {
    // It is full, or refuses: the form works without.
  }
}

/** Whether it is more than the template that was used last. */
export function isBegun({ input, title, edits }: Draft): boolean {
  return input.trim() !== "" || title.trim() !== "" || Object.keys(edits).length > 0;
}

function isDraft(kept: unknown): kept is Draft {
  if (typeof kept !== "object" || kept === null) return false;
  const { template, preset, edits, input, title, owner } = kept as Record<string, unknown>;
  return (
    [template, input, title, owner].every((word) => typeof word === "string") &&
    (preset === null || typeof preset === "string") &&
    typeof edits === "object" &&
    edits !== null &&
    Object.values(edits).every((value) => typeof value === "string")
  );
}
