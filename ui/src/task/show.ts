import { queryClient, taskQuery } from "../api/queries";
import type { Task } from "../api/types";

/** Puts a task as it was just read where the page looks for it. */
export function show(task: Task | void): void {
  if (!task) return;
  for (const word of [task.id, task.name]) {
    const { queryKey } = taskQuery(task.owner_name, word);
    if (queryClient.getQueryData(queryKey)) queryClient.setQueryData(queryKey, task);
  }
  void queryClient.invalidateQueries({ queryKey: ["task"] });
}
