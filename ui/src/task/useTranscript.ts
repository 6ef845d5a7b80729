import { useEffect, useState, useSyncExternalStore } from "react";

import { addressOf, api } from "../api/client";
import {
  permissionsQuery,
  phasesQuery,
  promptsQuery,
  queryClient,
  taskQuery,
} from "../api/queries";
import type { Task, TaskItem, TaskStanding } from "../api/types";
import { watchSleep } from "../live/sleep";
import { Stream } from "../live/stream";
import { Transcript, type TranscriptView } from "./transcript";

/** Milliseconds that a hidden tab keeps its stream. */
const HIDDEN_MS = 60_000;

/** Kinds of items after which the queue is read again, as no event tells of it. */
const MOVES_QUEUE = new Set(["user_message", "turn_end", "state", "error"]);

function made(user: string, id: string, key: readonly [string, string]): Transcript {
  const [userKey, taskKey] = key;
  const path = { user, task: id };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const readQueueSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(
      () =>
        void queryClient.invalidateQueries({ queryKey: promptsQuery(userKey, taskKey).queryKey }),
      200,
    );
  };
  const readPermissions = () =>
    void queryClient.invalidateQueries({ queryKey: permissionsQuery(userKey, taskKey).queryKey });
  const onStanding = (standing: TaskStanding) => {
    const query = taskQuery(userKey, taskKey).queryKey;
    const before = queryClient.getQueryData(query);
    queryClient.setQueryData(query, (task: Task | undefined) => task && standingOf(task, standing));
    // Workspace and failure are not in the news.
    if (before?.status !== standing.status) {
      void queryClient.invalidateQueries({ queryKey: query, exact: true });
      void queryClient.invalidateQueries({ queryKey: phasesQuery(userKey, taskKey).queryKey });
    }
    readQueueSoon();
    readPermissions();
  };
  const onItem = (item: TaskItem) => {
    if (MOVES_QUEUE.has(item.kind)) readQueueSoon();
    if (item.kind.startsWith("permission_")) readPermissions();
    if (item.kind === "phase" && (item.data as { state?: unknown }).state === "failed") {
      void queryClient.invalidateQueries({ queryKey: phasesQuery(userKey, taskKey).queryKey });
    }
  };
  return new Transcript(
    {
      before: (before, limit) =>
        api.get("/api/v2/tasks/{user}/{task}/transcript", { path, query: { before, limit } }),
      after: (after, limit) =>
        api.get("/api/v2/tasks/{user}/{task}/transcript", { path, query: { after, limit } }),
      follow: (after, onEvent, onState) =>
        new Stream({
          url: (last) => addressOf("/api/v2/tasks/{user}/{task}/events", path, { after: last }),
          after: String(after),
          events: ["item", "status", "deleted"],
          onEvent,
          onState,
        }),
      soon: (run) => (document.hidden ? setTimeout(run, 250) : requestAnimationFrame(run)),
    },
    onStanding,
    onItem,
  );
}

function standingOf(task: Task, standing: TaskStanding): Task {
  const { waiting_for: _, ...rest } = task;
  const merged: Task = {
    ...rest,
    display_name: standing.display_name ?? task.display_name,
    status: standing.status,
    current_state: standing.current_state,
  };
  if (standing.waiting_for) merged.waiting_for = standing.waiting_for;
  return merged;
}

/** The transcript of a task, live while the tab is seen. user and task are the words of the address. */
export function useTranscript(
  owner: string,
  id: string,
  user: string,
  task: string,
): [Transcript, TranscriptView] {
  const [transcript, setTranscript] = useState(() => made(owner, id, [user, task]));
  useEffect(() => {
    const fresh = made(owner, id, [user, task]);
    setTranscript(fresh);
    void fresh.start();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const seen = () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => fresh.sleep(), HIDDEN_MS);
      else fresh.wake();
    };
    document.addEventListener("visibilitychange", seen);
    const stopWatching = watchSleep(() => !document.hidden && fresh.reconnect());
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
      stopWatching();
      fresh.stop();
    };
  }, [owner, id, user, task]);
  return [transcript, useSyncExternalStore(transcript.watch, transcript.get)];
}
