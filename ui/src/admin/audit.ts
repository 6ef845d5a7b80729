// The audit: what the address says, what the server is asked, and how a deed is said.
import type { AuditAction, AuditLog, AuditResource } from "../api/types";
import { quoted } from "./users";

export const ACTIONS: Record<AuditAction, string> = {
  create: "made",
  write: "changed",
  delete: "deleted",
  start: "started",
  stop: "stopped",
  login: "signed in",
  logout: "signed out",
  send: "sent a message to",
  interrupt: "interrupted",
  answer: "answered",
  attach: "attached to",
  push: "pushed",
};

export const RESOURCES: Record<AuditResource, string> = {
  api_key: "key",
  file: "file",
  git_ssh_key: "SSH key",
  organization: "organization",
  organization_member: "member",
  secret: "secret",
  task: "task",
  template: "template",
  template_version: "template version",
  user: "user",
  workspace: "workspace",
  workspace_build: "build",
};

export interface AuditSearch {
  user?: string;
  action?: AuditAction;
  type?: AuditResource;
  name?: string;
  from?: string;
  to?: string;
  result?: "done" | "refused";
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function word(given: unknown): string {
  return ["string", "number", "boolean"].includes(typeof given) ? String(given) : "";
}

/** What the address says, without anything that makes no sense. */
export function readAuditSearch(given: Record<string, unknown>): AuditSearch {
  const search: AuditSearch = {};
  const { action, type, result } = given;
  const [user, name, from, to] = [given["user"], given["name"], given["from"], given["to"]].map(
    word,
  );
  if (user) search.user = user;
  if (name) search.name = name;
  if (typeof action === "string" && Object.hasOwn(ACTIONS, action))
    search.action = action as AuditAction;
  if (typeof type === "string" && Object.hasOwn(RESOURCES, type))
    search.type = type as AuditResource;
  if (from && DAY.test(from)) search.from = from;
  if (to && DAY.test(to)) search.to = to;
  if (result === "done" || result === "refused") search.result = result;
  return search;
}

/** The search as the server takes it. Its words are cut at blanks, so free text stands in quotes. */
export function auditQ(search: AuditSearch): string {
  const { user, action, type, name, from, to, result } = search;
  const parts = [];
  if (user?.trim()) parts.push(`user:${quoted(user)}`);
  if (action) parts.push(`action:${action}`);
  if (type) parts.push(`resource_type:${type}`);
  if (name?.trim()) parts.push(`resource:${quoted(name)}`);
  if (from) parts.push(`from:${from}`);
  if (to) parts.push(`to:${to}`);
  if (result) parts.push(`succeeded:${result === "done"}`);
  return parts.join(" ");
}

/** What was done, between who did it and which thing: "made the user". Signing in and out names no thing. */
export function deedWords({ action, resource_type, succeeded }: AuditLog): string {
  if (action === "login" || action === "logout") {
    return succeeded
      ? ACTIONS[action]
      : `was refused: ${action === "login" ? "sign-in" : "sign-out"}`;
  }
  const did = `${ACTIONS[action]} the ${RESOURCES[resource_type]}`;
  return succeeded ? did : `was refused: ${did}`;
}

/** Whether the deed names a thing beyond whoever did it. */
export function namesThing({ action }: AuditLog): boolean {
  return action !== "login" && action !== "logout";
}

/** A value before or after a change, as text. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((one) => typeof one === "string")) {
    return value.join(", ") || "–";
  }
  return JSON.stringify(value);
}
