// Which verbs make sense now. The server decides; this only spares people a button that will be refused.
import type { Task } from "../api/types";

export type Verb =
  "pause" | "resume" | "retry" | "interrupt" | "send" | "queue" | "delete" | "input";

const BUILDING = new Set(["pending", "starting", "stopping", "canceling", "deleting"]);

/** Why a verb would be refused, for people; empty when it is legal. */
export function refusal(verb: Verb, task: Pick<Task, "status" | "workspace_status">): string {
  const workspace = task.workspace_status;
  const isBuilding = workspace !== undefined && BUILDING.has(workspace);
  const isGone = workspace === undefined || workspace === "deleted";
  switch (verb) {
    case "delete":
      return isBuilding ? "The workspace is being built. Wait until that ends." : "";
    case "pause":
      if (isGone) return "The workspace is gone.";
      if (isBuilding) return "The workspace is being built. Wait until that ends.";
      return task.status === "paused" ? "The task is paused already." : "";
    case "resume":
      if (isGone) return "The workspace is gone. Create a new task.";
      if (isBuilding) return "The workspace is being built. Wait until that ends.";
      return workspace === "running" ? "The workspace runs already." : "";
    case "retry":
      return workspace === "failed" || workspace === "canceled"
        ? ""
        : "Nothing failed to be built.";
    case "queue":
      return isGone ? "The workspace is gone. Create a new task." : "";
    case "interrupt":
    case "send":
      return task.status === "active" ? "" : "The coding agent does not run.";
    case "input":
      return task.status === "paused"
        ? ""
        : "The input can be changed only while the task is paused.";
  }
}
