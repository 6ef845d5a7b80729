// What people do with tasks, each with the same key for a second try.
import { api, newKey } from "../api/client";
import type { Task } from "../api/types";
import { taskStore } from "./live";

type Which = Pick<Task, "id" | "owner_name">;

const pathOf = (task: Which) => ({ user: task.owner_name, task: task.id });

async function read(task: Which): Promise<Task> {
  const fresh = await api.get("/api/v2/tasks/{user}/{task}", { path: pathOf(task) });
  taskStore().learn(fresh);
  return fresh;
}

export async function pauseTask(task: Which): Promise<Task> {
  const options = { path: pathOf(task), idempotencyKey: newKey() };
  await api.post("/api/v2/tasks/{user}/{task}/pause", options);
  return read(task);
}

export async function resumeTask(task: Which): Promise<Task> {
  const options = { path: pathOf(task), idempotencyKey: newKey() };
  await api.post("/api/v2/tasks/{user}/{task}/resume", options);
  return read(task);
}

export async function retryTask(task: Which): Promise<Task> {
  const options = { path: pathOf(task), idempotencyKey: newKey() };
  await api.post("/api/v2/tasks/{user}/{task}/retry", options);
  return read(task);
}

/** Gives a task another name for people; the name in its address stays. */
export async function renameTask(task: Which, name: string): Promise<Task> {
  const fresh = await api.patch("/api/v2/tasks/{user}/{task}", {
    path: pathOf(task),
    body: { display_name: name },
  });
  taskStore().learn(fresh);
  return fresh;
}

/** Changes what a paused task is to do next. */
export async function changeInput(task: Which, input: string): Promise<Task> {
  await api.patch("/api/v2/tasks/{user}/{task}/input", { path: pathOf(task), body: { input } });
  return read(task);
}

export async function interruptTask(task: Which): Promise<void> {
  await api.post("/api/v2/tasks/{user}/{task}/interrupt", { path: pathOf(task) });
}

export async function deleteTask(task: Which): Promise<void> {
  await api.delete("/api/v2/tasks/{user}/{task}", { path: pathOf(task) });
  taskStore().drop(task.id);
}

export interface Refused<T> {
  task: T;
  error: unknown;
}

/** Runs one deed on many tasks, a few at a time; gives those that were refused with why. */
export async function onEach<T>(
  tasks: readonly T[],
  deed: (task: T) => Promise<unknown>,
  onEnd: () => void = () => undefined,
  atOnce = 4,
): Promise<Refused<T>[]> {
  const left = [...tasks];
  const failed: Refused<T>[] = [];
  const run = async () => {
    for (let task = left.shift(); task !== undefined; task = left.shift()) {
      try {
        await deed(task);
      } catch (error) {
        failed.push({ task, error });
      }
      onEnd();
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, run));
  return failed;
}
