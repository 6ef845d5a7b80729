// Which entries get a row, what a row is called, and how high it may be before anybody has seen it.
import type { Entry } from "./conversation";

/** Whether there is anything to see of an entry. failure: why the task failed, as is said above all of them. */
export function isShown(entry: Entry, isShell: boolean, failure: string): boolean {
  switch (entry.kind) {
    case "notice":
      return !failure || !entry.text.startsWith(failure);
    case "text":
    case "thought":
      return entry.text.trim() !== "";
    case "tool":
      // A shell's one tool is the prompt itself, and its output is the answer.
      return !isShell || entry.call.status === "failed";
    case "plan":
      return entry.steps.length > 0;
    default:
      return true;
  }
}

const NAMES: Readonly<Record<Entry["kind"], string>> = {
  prompt: "Prompt",
  text: "Answer",
  thought: "Thought",
  tool: "Tool call",
  plan: "Plan",
  permission: "Question",
  report: "Report",
  notice: "Notice",
  boot: "Start",
};

/** What a screen reader calls an entry. */
export const nameOf = (entry: Entry): string => NAMES[entry.kind];

/** Lines of the beginning of a text, about. */
function linesOf(text: string): number {
  const breaks = text.slice(0, 2000).match(/\n/g)?.length ?? 0;
  return Math.max(breaks, Math.ceil(text.length / 90));
}

/** Pixels of a row that was never drawn; what is wrong with it is made good when it is. */
export function guess(entry: Entry): number {
  switch (entry.kind) {
    case "text":
    case "prompt":
      return 40 + 20 * Math.min(25, linesOf(entry.text));
    case "plan":
      return 32 + 24 * entry.steps.length;
    case "permission":
      return entry.answer ? 24 : 160;
    default:
      return 32;
  }
}
