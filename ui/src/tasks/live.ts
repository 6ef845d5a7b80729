// The one store of this tab, fed by the hub.
import { api, ApiError } from "../api/client";
import type { TaskNews } from "../api/types";
import { liveHub } from "../live/browser";
import { TaskStore, type Reader } from "./store";

const reader: Reader = {
  page: async (token, size, signal) => {
    const query = { page_size: size, page_token: token };
    const { data, headers } = await api.getWithHeaders("/api/v2/tasks", { query, signal });
    return { tasks: data.tasks, next: headers.get("X-Taskyard-Next-Page") };
  },
  one: async (user, task, signal) => {
    try {
      return await api.get("/api/v2/tasks/{user}/{task}", { path: { user, task }, signal });
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  },
};

/** With the next frame, or soon where the tab is hidden and has no frames. */
function soon(run: () => void): void {
  if (document.hidden) setTimeout(run, 250);
  else requestAnimationFrame(run);
}

let store: TaskStore | null = null;
let leave: () => void = () => undefined;

/** The store, which begins to read and to listen at the first call. */
export function taskStore(): TaskStore {
  if (store) return store;
  const made = new TaskStore(reader, soon);
  store = made;
  leave = liveHub().subscribe((event) => {
    if (event.name === "reset") void made.load();
    else made.hear(JSON.parse(event.data) as TaskNews);
  });
  void made.load();
  return made;
}

/** Forgets all of it, for when somebody signs out. */
export function forgetTasks(): void {
  leave();
  store?.stop();
  store = null;
}
