// All tasks that one may see, kept true by news. Pure of the network: what reads and waits is handed in.
import type { Task, TaskNews } from "../api/types";

export interface Page {
  tasks: Task[];
  next: string | null;
}

export interface Reader {
  page(token: string, size: number, signal: AbortSignal): Promise<Page>;
  /** null: it is not there, or not to be seen. */
  one(owner: string, id: string, signal: AbortSignal): Promise<Task | null>;
}

export interface Snapshot {
  tasks: ReadonlyMap<string, Task>;
  /** Whether all pages have been read since the page was opened. */
  isComplete: boolean;
  isLoading: boolean;
  error: unknown;
}

/** Tasks of the first page: what a screen shows, so that the first rows are there at once. */
export const FIRST_PAGE = 50;
/** Tasks of each further page, the most that the server gives. */
export const NEXT_PAGE = 1000;
/** Tasks read at once after news of them. */
const AT_ONCE = 4;

export class TaskStore {
  private tasks = new Map<string, Task>();
  private told = new Map<string, TaskNews>();
  private wanted = new Map<string, string>();
  private reading = 0;
  private loading: AbortController | null = null;
  /** No page of the reading that goes on has come yet. */
  private isBeginning = false;
  private isAskedAgain = false;
  private readonly life = new AbortController();
  private readonly watchers = new Set<() => void>();
  private isQueued = false;
  private snapshot: Snapshot = {
    tasks: this.tasks,
    isComplete: false,
    isLoading: false,
    error: null,
  };

  constructor(
    private readonly reader: Reader,
    /** Runs it soon; many changes are shown together. */
    private readonly soon: (run: () => void) => void,
  ) {}

  get = (): Snapshot => this.snapshot;

  watch = (tell: () => void): (() => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };

  /**
   * Reads the whole list. Old rows stay until their place is known; a second call begins anew, but lets the first
   * page come and be seen: the stream asks for that when it opens, which is mostly while this page is on its way.
   */
  async load(): Promise<void> {
    if (this.isBeginning) {
      this.isAskedAgain = true;
      return;
    }
    this.loading?.abort();
    this.isBeginning = true;
    this.isAskedAgain = false;
    const mine = new AbortController();
    this.loading = mine;
    this.told.clear();
    const seen = new Set<string>();
    this.change({ isLoading: true, error: null });
    try {
      let token: string | null = "";
      for (let size = FIRST_PAGE; token !== null; size = NEXT_PAGE) {
        const page: Page = await this.reader.page(token, size, mine.signal);
        if (mine.signal.aborted) return;
        for (const task of page.tasks) {
          seen.add(task.id);
          this.put(task);
        }
        token = page.next;
        this.change({});
        this.isBeginning = false;
        if (this.isAskedAgain) {
          void this.load();
          return;
        }
      }
      for (const id of this.tasks.keys()) {
        if (!seen.has(id) && !this.told.has(id)) this.tasks.delete(id);
      }
      this.change({ isComplete: true, isLoading: false });
    } catch (error) {
      if (mine.signal.aborted) return;
      this.isBeginning = false;
      this.change({ isLoading: false, error });
    }
  }

  /** Takes over what the stream tells. */
  hear(news: TaskNews): void {
    const id = news.task.id;
    this.told.set(id, news);
    if (news.deleted) {
      this.wanted.delete(id);
      if (this.tasks.delete(id)) this.change({});
      return;
    }
    const known = this.tasks.get(id);
    if (known) {
      this.put(known);
      this.change({});
    }
    // News say nothing of workspace, failure or place in the queue, so the task is read when its status changed.
    if (!known || known.status !== news.status) this.want(news.task.owner_name, id);
  }

  /** A task as an answer of the server has it, newer than what is here. */
  learn(task: Task): void {
    this.tasks.set(task.id, task);
    this.change({});
  }

  /** Takes a task out before the news come. */
  drop(id: string): void {
    if (this.tasks.delete(id)) this.change({});
  }

  stop(): void {
    this.loading?.abort();
    this.life.abort();
  }

  /** Puts in a task as it was read, with what was told of it since. */
  private put(task: Task): void {
    const news = this.told.get(task.id);
    if (news?.deleted) return;
    this.tasks.set(task.id, news ? merge(task, news) : task);
  }

  private want(owner: string, id: string): void {
    this.wanted.set(id, owner);
    this.soon(() => this.readWanted());
  }

  private readWanted(): void {
    for (const [id, owner] of this.wanted) {
      if (this.reading >= AT_ONCE) return;
      this.wanted.delete(id);
      this.reading += 1;
      void this.readOne(owner, id);
    }
  }

  private async readOne(owner: string, id: string): Promise<void> {
    try {
      const task = await this.reader.one(owner, id, this.life.signal);
      if (task === null) this.tasks.delete(id);
      else if (!this.told.get(id)?.deleted) this.put(task);
      this.change({});
    } catch {
      // The row stays as the news had it; the next reading of the list has all of it.
    } finally {
      this.reading -= 1;
      this.readWanted();
    }
  }

  private change(with_: Partial<Omit<Snapshot, "tasks">>): void {
    this.snapshot = { ...this.snapshot, ...with_ };
    if (this.isQueued) return;
    this.isQueued = true;
    this.soon(() => {
      this.isQueued = false;
      // A new map each time, because whoever watches compares by identity.
      this.tasks = new Map(this.tasks);
      this.snapshot = { ...this.snapshot, tasks: this.tasks };
      for (const watcher of this.watchers) watcher();
    });
  }
}

/** A task with what news say of it, unless it is as new itself. */
export function merge(task: Task, news: TaskNews): Task {
  const display_name = news.task.display_name ?? task.display_name;
  if (task.status === news.status && task.display_name === display_name && sameState(task, news)) {
    return task;
  }
  const { waiting_for: _, ...rest } = task;
  const { status, current_state } = news;
  const merged: Task = { ...rest, display_name, status, current_state };
  if (news.waiting_for) merged.waiting_for = news.waiting_for;
  return merged;
}

function sameState(task: Task, news: TaskNews): boolean {
  return (
    task.current_state?.timestamp === news.current_state?.timestamp &&
    task.current_state?.message === news.current_state?.message &&
    task.waiting_for?.id === news.waiting_for?.id
  );
}
