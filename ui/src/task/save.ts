// The transcript as a file.
import { addressOf } from "../api/client";
import type { Task } from "../api/types";

const ENDINGS = { jsonl: "jsonl", markdown: "md" } as const;

/** Where the whole transcript is, in one of its formats, and what its file is called. */
export function transcriptFile(
  task: Pick<Task, "id" | "name" | "owner_name">,
  format: keyof typeof ENDINGS,
): { href: string; name: string } {
  const path = { user: task.owner_name, task: task.id };
  return {
    href: addressOf("/api/v2/tasks/{user}/{task}/transcript", path, { format }),
    name: `${task.name}.${ENDINGS[format]}`,
  };
}

/** Has the browser save a file of the server, which sends it as it is read. */
export function save({ href, name }: { href: string; name: string }): void {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
}
