// The phases of a start in their order, as a timeline shows them.
import type { Task } from "../api/types";
import type { PhaseSeen } from "./conversation";

const ORDER: readonly (readonly [phase: string, label: string])[] = [
  ["queued", "In the queue"],
  ["preparing", "Template and secrets"],
  ["starting", "Workspace"],
  ["connecting", "Workspace agent"],
  ["scripts", "Repository and start script"],
  ["coding_agent", "Coding agent"],
  ["first_prompt", "First prompt"],
  ["first_answer", "First answer"],
];

/** What people call a phase. */
export function labelOf(phase: string): string {
  return ORDER.find(([name]) => name === phase)?.[1] ?? phase;
}

export interface Step {
  phase: string;
  label: string;
  state: "waiting" | "running" | "done" | "failed" | "skipped";
  ms: number | null;
  /** When it began, while it runs. */
  since: number | null;
  reason: string | null;
}

export function timeline(seen: readonly PhaseSeen[]): Step[] {
  return ORDER.map(([phase, label]) => {
    const found = seen.find((one) => one.phase === phase);
    if (!found) return { phase, label, state: "waiting", ms: null, since: null, reason: null };
    const state = found.state === "began" ? "running" : (found.state as Step["state"]);
    const since = state === "running" ? Date.parse(found.at) : null;
    return { phase, label, state, ms: found.ms, since, reason: found.reason };
  });
}

export type Boot = "running" | "usable" | "failed";

/** How a start stands: usable once the coding agent takes prompts. */
export function bootOf(steps: readonly Step[]): Boot {
  if (steps.some((step) => step.state === "failed")) return "failed";
  const agent = steps.find((step) => step.phase === "coding_agent");
  return agent?.state === "done" || agent?.state === "skipped" ? "usable" : "running";
}

/** Milliseconds until the task was usable. */
export function bootMs(steps: readonly Step[]): number {
  return steps
    .filter((step) => step.phase !== "first_prompt" && step.phase !== "first_answer")
    .reduce((sum, step) => sum + (step.ms ?? 0), 0);
}

const LIMITS = {
  user: "tasks of one person",
  organization: "tasks of the organization",
  server: "tasks of this server",
} as const;

/** Where a start stands that waits for room, and for what; empty when it does not. */
export function queueWords(queue: Task["queue"]): string {
  if (!queue) return "";
  const where = `Place ${queue.position} of ${queue.size}.`;
  if (queue.limit !== undefined) {
    return `${where} At most ${queue.limit} ${LIMITS[queue.reason]} run at once.`;
  }
  return `${where} It starts once there is room for one more of the ${LIMITS[queue.reason]}.`;
}
