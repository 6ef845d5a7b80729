// My own tasks that are up, as far as notices need them: how many wait for me, and which news are worth a notice.
import type { Task, TaskNews } from "../api/types";
import { wordOf, type Facts, type Word } from "../tasks/state";

export interface Notice {
  /** The task's id. */
  id: string;
  owner: string;
  kind: "waiting" | "ended" | "failed";
  name: string;
  /** What it asks, or what it said last. */
  words: string;
}

interface Known {
  word: Word;
  waitsFor: string;
  name: string;
}

/** News tell nothing of the workspace, which notices do not ask for. */
const factsOf = (news: TaskNews): Facts => {
  const { status, current_state } = news;
  return news.waiting_for
    ? { status, current_state, waiting_for: news.waiting_for }
    : { status, current_state };
};

/** Not "starting": a coding agent is idle for a moment before it gets its first prompt. */
const BUSY: ReadonlySet<Word> = new Set(["working", "waiting"]);
const ENDED: ReadonlySet<Word> = new Set(["idle", "done"]);

/** Pure of browser and network: what is read and heard is handed in. */
export class MyTasks {
  private readonly tasks = new Map<string, Known>();
  /** Those of which news came since a reading began: they are newer than what is read. */
  private heard = new Set<string>();

  /** How many of them wait for me. */
  get waiting(): number {
    let count = 0;
    for (const { word } of this.tasks.values()) if (word === "waiting") count += 1;
    return count;
  }

  /** The tasks are being read. */
  expect(): void {
    this.heard = new Set();
  }

  /** Begins with these, which were read and are told to nobody. */
  begin(tasks: Iterable<Task>): void {
    for (const id of this.tasks.keys()) if (!this.heard.has(id)) this.tasks.delete(id);
    for (const task of tasks) {
      if (this.heard.has(task.id)) continue;
      this.tasks.set(task.id, {
        word: wordOf(task),
        waitsFor: task.waiting_for?.id ?? "",
        name: task.display_name || task.name,
      });
    }
  }

  /** What to tell of news of a task of mine; null where nobody needs to come. */
  hear(news: TaskNews): Notice | null {
    const { id, owner_name: owner } = news.task;
    const before = this.tasks.get(id);
    this.heard.add(id);
    if (news.deleted) {
      this.tasks.delete(id);
      return null;
    }
    const word = wordOf(factsOf(news));
    const waitsFor = news.waiting_for?.id ?? "";
    const name = news.task.display_name ?? before?.name ?? news.task.name;
    this.tasks.set(id, { word, waitsFor, name });
    const notice = { id, owner, name };
    if (news.waiting_for) {
      return waitsFor === before?.waitsFor
        ? null
        : { ...notice, kind: "waiting", words: news.waiting_for.title };
    }
    const words = news.current_state?.message ?? "";
    // Of one that was not up before, it is not known whether this is new.
    if (!before) return null;
    if (word === "failed") {
      return before.word === "failed" ? null : { ...notice, kind: "failed", words };
    }
    if (ENDED.has(word) && BUSY.has(before.word)) {
      return { ...notice, kind: "ended", words };
    }
    return null;
  }
}

/** Notices of one moment that are shown one by one; more are told by their number. */
export const MOST_AT_ONCE = 3;

export interface Shown {
  /** A later notice with the same tag takes this one's place. */
  tag: string;
  title: string;
  body: string;
  /** Where a click leads. */
  path: string;
}

const SAYS = {
  waiting: "waits for you",
  ended: "has ended its turn",
  failed: "failed",
} as const;

/** What people see of the notices of one moment: the last one of each task, or one for all. */
export function shownOf(notices: readonly Notice[]): Shown[] {
  const last = [...new Map(notices.map((notice) => [notice.id, notice])).values()];
  if (last.length > MOST_AT_ONCE) {
    const waiting = last.filter((notice) => notice.kind === "waiting").length;
    return [
      {
        tag: "taskyard",
        title: `${last.length} tasks have news`,
        body: waiting ? `${waiting} of them ${waiting === 1 ? "waits" : "wait"} for you.` : "",
        path: "/tasks",
      },
    ];
  }
  return last.map(({ id, owner, kind, name, words }) => ({
    tag: `taskyard-${id}`,
    title: `${name} ${SAYS[kind]}`,
    body: words,
    path: `/tasks/${encodeURIComponent(owner)}/${id}`,
  }));
}
