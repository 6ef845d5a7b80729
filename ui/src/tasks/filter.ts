// Which tasks are shown, and in which order; what the address bar says.
import type { Task } from "../api/types";
import { GROUPS, lastWords, lookOf, type Group } from "./state";

export interface TasksSearch {
  q?: string;
  state?: Group;
  owner?: "me";
}

/** What the address says, without anything that makes no sense. */
export function readSearch(given: Record<string, unknown>): TasksSearch {
  const search: TasksSearch = {};
  const { q, state, owner } = given;
  // The router reads a number or a word such as true as what it looks like.
  if (q !== undefined && q !== null && q !== "") search.q = typeof q === "object" ? "" : String(q);
  if (GROUPS.some(([group]) => group === state)) search.state = state as Group;
  if (owner === "me") search.owner = "me";
  return search;
}

/** Whether each word of the search is somewhere in what a row shows. */
export function matches(task: Task, words: readonly string[]): boolean {
  if (words.length === 0) return true;
  const shown =
    `${task.name} ${task.display_name} ${task.template_name} ${task.template_display_name} ${task.owner_name} ${lastWords(task)}`.toLowerCase();
  return words.every((word) => shown.includes(word));
}

export type Row =
  { kind: "group"; group: Group; title: string; count: number } | { kind: "task"; task: Task };

export interface Listing {
  rows: Row[];
  /** Tasks of each group that match everything but the group itself. */
  counts: Record<Group, number>;
  total: number;
}

/** The rows of the list: groups in their order, in each the newest task first. */
export function listing(tasks: Iterable<Task>, search: TasksSearch, me: string): Listing {
  const words = (search.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const groups: Record<Group, Task[]> = {
    waiting: [],
    working: [],
    idle: [],
    paused: [],
    failed: [],
  };
  let total = 0;
  for (const task of tasks) {
    if (search.owner === "me" && task.owner_id !== me) continue;
    if (!matches(task, words)) continue;
    groups[lookOf(task).group].push(task);
    total += 1;
  }
  const rows: Row[] = [];
  const counts = { waiting: 0, working: 0, idle: 0, paused: 0, failed: 0 };
  for (const [group, title] of GROUPS) {
    const found = groups[group];
    counts[group] = found.length;
    if (found.length === 0 || (search.state && search.state !== group)) continue;
    found.sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0));
    rows.push({ kind: "group", group, title, count: found.length });
    for (const task of found) rows.push({ kind: "task", task });
  }
  return { rows, counts, total };
}
