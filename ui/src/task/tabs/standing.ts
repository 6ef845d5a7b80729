// Why a tab has nothing to ask the workspace for, and the way out. The server decides; this spares a question that it would refuse.
import type { Task } from "../../api/types";

export interface Standing {
  title: string;
  detail: string;
  canResume: boolean;
}

type Facts = Pick<Task, "status" | "workspace_status" | "workspace_id" | "workspace_agent_id">;

/** Why nothing can be asked of a workspace now; null when it may answer. whatFor ends "Resume it …". */
export function standingOf(task: Facts, isDeleted: boolean, whatFor: string): Standing | null {
  const not = (title: string, detail: string, canResume = false) => ({ title, detail, canResume });
  if (isDeleted) return not("This task was deleted", "Its workspace and its files went with it.");
  if (!task.workspace_id || task.workspace_status === "deleted") {
    return not("This task has no workspace", "It was deleted. Give the work to a new task.");
  }
  switch (task.workspace_status) {
    case "stopping":
      return not("The task is being paused", "Its workspace is about to stop. The files are kept.");
    case "deleting":
      return not("The task is being deleted", "Its workspace is about to go.");
    case "stopped":
      return not("The task is paused", `Its workspace does not run. Resume it ${whatFor}.`, true);
  }
  switch (task.status) {
    case "pending":
      return not("The task waits for its workspace", "This fills once it has started.");
    case "paused":
      return not("The task is paused", `Its workspace does not run. Resume it ${whatFor}.`, true);
    case "error":
      if (task.workspace_status === "running") return null;
      return not(
        "The workspace does not run",
        "The task failed. The conversation says why, and the log what came before.",
      );
    default:
      return task.workspace_agent_id
        ? null
        : not("The workspace is starting", "This fills by itself once it runs.");
  }
}
