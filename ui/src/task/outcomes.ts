// What became of what somebody sent, as long as it is news.
import type { TaskPrompt } from "../api/types";

/** Prompts that came to no good end and after which none has arrived, newest first. */
export function troubled(
  prompts: readonly TaskPrompt[],
  dismissed: ReadonlySet<string>,
): TaskPrompt[] {
  const settled = (prompt: TaskPrompt) => Date.parse(prompt.settled_at ?? "") || 0;
  const arrived = Math.max(
    0,
    ...prompts.filter((prompt) => prompt.state === "delivered").map(settled),
  );
  return prompts
    .filter((prompt) => prompt.state === "uncertain" || prompt.state === "failed")
    .filter((prompt) => settled(prompt) >= arrived && !dismissed.has(prompt.id))
    .sort((one, other) => settled(other) - settled(one));
}

/** What is told of one of them. */
export function troubleWords(prompt: TaskPrompt): { title: string; advice: string } {
  if (prompt.state === "failed") {
    return {
      title: "This was not taken.",
      advice: prompt.error ?? "The coding agent refused it.",
    };
  }
  return {
    title: "It is not certain that this arrived.",
    advice:
      "The connection broke while it was on its way. It is not sent again by itself: look above whether it is there, and send it again if not.",
  };
}
