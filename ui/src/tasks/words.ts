// The last words of a task in the list: what its coding agent said or did last, read only for rows that are seen.
import { keepPreviousData, queryOptions, useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { api } from "../api/client";
import type { Task, TaskItem } from "../api/types";
import { lastWords, wordOf, type Word } from "./state";

/** Milliseconds that a row must be seen before anything is read for it: most rows only scroll past. */
const SEEN_MS = 150;

/** Milliseconds between two readings while the coding agent works, of which the list has no news. */
const AGAIN_MS = 15_000;

/** Items that are read: a call of a tool is one item each time that it changes. */
const NEWEST = 5;

/** States in which the coding agent's own words say more than the state does. */
const TALKS: ReadonlySet<Word> = new Set(["working", "idle", "done", "pausing", "paused"]);

type Item = Pick<TaskItem, "number" | "kind"> & { data: unknown };

/** What the newest items come to in one line; empty for nothing. Who works is known by deeds, who rests by words. */
export function wordsOf(items: readonly Item[], isWorking: boolean): string {
  const newest = items.toSorted((a, b) => b.number - a.number);
  const said = newest.find((item) => isWorking || item.kind !== "tool_call") ?? newest[0];
  if (!said) return "";
  const { text, title, summary } = said.data as Record<string, unknown>;
  if (said.kind === "agent_message") return lastLine(text);
  const words = said.kind === "report" ? summary : title;
  return typeof words === "string" ? words : "";
}

/** The last line with anything to read in it; Markdown and boxes end with lines that have none. */
function lastLine(text: unknown): string {
  if (typeof text !== "string") return "";
  const lines = text.split("\n").map((line) => line.replace(/^[\s#>*-]+/, "").trim());
  return lines.findLast((line) => /[\p{L}\p{N}]/u.test(line)) ?? "";
}

const wordsQuery = (task: Task) =>
  queryOptions({
    queryKey: ["words", task.id, task.status, task.current_state?.timestamp],
    queryFn: async ({ signal }) => {
      const { items } = await api.get("/api/v2/tasks/{user}/{task}/transcript", {
        path: { user: task.owner_name, task: task.id },
        query: { before: LAST, limit: NEWEST, kinds: "agent_message,tool_call,report" },
        signal,
      });
      return wordsOf(items, wordOf(task) === "working");
    },
    staleTime: Infinity,
    retry: false,
  });

/** Behind every item that a transcript can have. */
const LAST = 2 ** 31 - 1;

/** What is to be read of a task in its row. */
export function useWords(task: Task): string {
  const word = wordOf(task);
  const [isSeen, setSeen] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSeen(true), SEEN_MS);
    return () => clearTimeout(timer);
  }, []);
  const said = useQuery({
    ...wordsQuery(task),
    enabled: isSeen && TALKS.has(word),
    // What was said before stays until the next words are there.
    placeholderData: keepPreviousData,
    refetchInterval: word === "working" ? AGAIN_MS : false,
  });
  if (!TALKS.has(word)) return lastWords(task);
  return said.data || (said.isFetched ? lastWords(task) : "");
}
