// The list of users: what the address says, and what the server is asked.
import type { User } from "../api/types";

export const STATUSES = ["active", "dormant", "suspended"] as const;
export type UserStatus = (typeof STATUSES)[number];

/** Users of one page. */
export const PAGE_SIZE = 50;

export interface UsersSearch {
  q?: string;
  status?: UserStatus;
  page?: number;
}

export function readUsersSearch(given: Record<string, unknown>): UsersSearch {
  const search: UsersSearch = {};
  const { q, status, page } = given;
  // The router reads a number or a word such as true as what it looks like.
  if (typeof q === "string" || typeof q === "number" || typeof q === "boolean") {
    if (String(q) !== "") search.q = String(q);
  }
  if (STATUSES.some((one) => one === status)) search.status = status as UserStatus;
  if (typeof page === "number" && Number.isInteger(page) && page > 1) search.page = page;
  return search;
}

/** A text as one value of the server's search, whatever is in it; quotes have no place there. */
export function quoted(text: string): string {
  return `"${text.replace(/"/g, " ").trim()}"`;
}

export function usersQ({ q = "", status }: UsersSearch): string {
  const parts = [];
  if (q.replace(/"/g, "").trim()) parts.push(`search:${quoted(q)}`);
  if (status) parts.push(`status:${status}`);
  return parts.join(" ");
}

/** The roles of the whole server, with what each lets do. */
export const SITE_ROLES = [
  [
    "owner",
    "Owner",
    "Everything, for everybody: users, tokens, templates, all tasks, the server itself.",
  ],
  [
    "template-admin",
    "Template admin",
    "Makes and changes all templates, and reads the workspaces made of them.",
  ],
  ["user-admin", "User admin", "Makes users, and changes those without a role; not their tasks."],
  ["auditor", "Auditor", "Reads users, the audit and the server's health; changes nothing."],
] as const;

const STATUS_WORDS: Record<
  UserStatus,
  readonly [word: string, tone: "done" | "paused" | "failed"]
> = {
  active: ["Active", "done"],
  dormant: ["Dormant", "paused"],
  suspended: ["Suspended", "failed"],
};

export function statusLook(user: User): readonly [string, "done" | "paused" | "failed"] {
  return STATUS_WORDS[user.status];
}

/** What is wrong with the number of a GitHub account as it was typed; empty for nothing. */
export function githubProblem(text: string): string {
  return /^\d{0,15}$/.test(text.trim()) ? "" : "Give the number of the account, not its name.";
}
