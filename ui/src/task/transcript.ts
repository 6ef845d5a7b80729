// One task's conversation as a window of its transcript, which grows by pages at both ends, and by the stream once it
// has reached the end. The network is handed in.
import type { TaskItem, TaskStanding } from "../api/types";
import type { StreamEvent, StreamState } from "../live/stream";
import { Conversation } from "./conversation";

/** Items of a page; a screen shows about thirty entries, which are some hundred items. */
export const PAGE = 200;
/** Items of a page while somebody scrolls: fewer pages to wait for. */
export const MORE = 500;
/** Later than any item, and still exact as a number here. */
export const END = Number.MAX_SAFE_INTEGER;

export interface TranscriptPage {
  items: TaskItem[];
  last_number: number;
}

export interface Follow {
  close(): void;
  reopen(): void;
  open(): void;
}

export interface TranscriptSources {
  before(number: number, limit: number): Promise<TranscriptPage>;
  after(number: number, limit: number): Promise<TranscriptPage>;
  follow(
    after: number,
    onEvent: (event: StreamEvent) => void,
    onState: (state: StreamState) => void,
  ): Follow;
  soon(run: () => void): void;
}

export interface TranscriptView {
  conversation: Conversation;
  version: number;
  isReady: boolean;
  hasOlder: boolean;
  /** Whether there are items behind the window, because somebody jumped away from the end. */
  hasNewer: boolean;
  reading: "" | "older" | "newer" | "start" | "end";
  isDeleted: boolean;
  stream: StreamState;
  error: unknown;
}

export class Transcript {
  private items: TaskItem[] = [];
  /** Number of the newest item there is, whether it is in the window or not. */
  private newest = 0;
  private again: (() => Promise<unknown>) | null = null;
  private follow: Follow | null = null;
  private isStopped = false;
  private isQueued = false;
  private readonly watchers = new Set<() => void>();
  private view: TranscriptView = {
    conversation: new Conversation(),
    version: 0,
    isReady: false,
    hasOlder: false,
    hasNewer: false,
    reading: "",
    isDeleted: false,
    stream: "connecting",
    error: null,
  };

  constructor(
    private readonly sources: TranscriptSources,
    private readonly onStanding: (standing: TaskStanding) => void,
    private readonly onItem: (item: TaskItem) => void,
  ) {}

  get = (): TranscriptView => this.view;

  watch = (tell: () => void): (() => void) => {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  };

  async start(): Promise<void> {
    const page = await this.read("end", () => this.start());
    if (!page) return;
    this.replace(page, page.items.length > 0 && page.items[0]!.number > 1);
    this.follow = this.sources.follow(
      page.last_number,
      (event) => this.hear(event),
      (stream) => this.change({ stream }),
    );
    this.follow.open();
  }

  async older(): Promise<void> {
    if (!this.view.isReady || !this.view.hasOlder) return;
    const page = await this.read("older", () => this.older());
    if (!page) return;
    this.items = [...page.items, ...this.items];
    this.replace({ ...page, items: this.items }, page.items.length > 0);
  }

  async newer(): Promise<void> {
    if (!this.view.isReady || !this.view.hasNewer) return;
    const page = await this.read("newer", () => this.newer());
    if (!page) return;
    for (const item of page.items) this.take(item);
    this.change({ hasNewer: page.items.length > 0 && this.isBehind() });
  }

  /** Puts the window at the first item, without reading what is between; false where it stays as it is. */
  async toStart(): Promise<boolean> {
    if (!this.view.isReady || !this.view.hasOlder) return false;
    const page = await this.read("start", () => this.toStart());
    if (page) this.replace(page, false);
    return page !== null;
  }

  /** Puts the window at the last item; false where it stays as it is. */
  async toEnd(): Promise<boolean> {
    if (!this.view.isReady || !this.view.hasNewer) return false;
    const page = await this.read("end", () => this.toEnd());
    if (page) this.replace(page, page.items.length > 0 && page.items[0]!.number > 1);
    return page !== null;
  }

  /** Does again what failed. */
  retry = (): void => void this.again?.();

  /** A page, or null where another one is on its way or this one did not come. */
  private async read(
    what: Exclude<TranscriptView["reading"], "">,
    again: () => Promise<unknown>,
  ): Promise<TranscriptPage | null> {
    if (this.view.reading || this.isStopped) return null;
    this.change({ reading: what, error: null });
    const { first, last } = this.view.conversation;
    try {
      const page = await {
        older: () => this.sources.before(first, MORE),
        newer: () => this.sources.after(last, MORE),
        start: () => this.sources.after(0, PAGE),
        end: () => this.sources.before(END, PAGE),
      }[what]();
      if (this.isStopped) return null;
      this.newest = Math.max(this.newest, page.last_number);
      this.change({ reading: "" });
      return page;
    } catch (error) {
      this.again = again;
      if (!this.isStopped) this.change({ reading: "", error });
      return null;
    }
  }

  private replace(page: TranscriptPage, mayHaveOlder: boolean): void {
    this.items = page.items;
    const conversation = Conversation.of(page.items);
    conversation.agent ||= this.view.conversation.agent;
    this.change({ conversation, isReady: true, hasOlder: mayHaveOlder && conversation.first > 1 });
    this.change({ hasNewer: page.items.length > 0 && this.isBehind() });
  }

  private isBehind(): boolean {
    return this.view.conversation.last < this.newest;
  }

  private take(item: TaskItem): void {
    if (item.number <= this.view.conversation.last) return;
    this.items.push(item);
    this.view.conversation.add(item);
  }

  /** For a tab that nobody sees: hangs up, and later goes on where it was. */
  sleep(): void {
    this.follow?.close();
  }

  wake(): void {
    if (!this.view.isDeleted) this.follow?.open();
  }

  reconnect(): void {
    if (!this.view.isDeleted) this.follow?.reopen();
  }

  stop(): void {
    this.isStopped = true;
    this.follow?.close();
  }

  private hear(event: StreamEvent): void {
    if (event.name === "deleted") {
      this.follow?.close();
      this.change({ isDeleted: true });
    } else if (event.name === "status") {
      this.onStanding(JSON.parse(event.data) as TaskStanding);
    } else {
      const item = JSON.parse(event.data) as TaskItem;
      if (item.number <= this.newest) return;
      // What would leave a gap is read when somebody comes near it.
      const isNext = !this.isBehind();
      this.newest = item.number;
      if (isNext) this.take(item);
      this.onItem(item);
      this.change({});
    }
  }

  private change(with_: Partial<TranscriptView>): void {
    this.view = { ...this.view, ...with_ };
    if (this.isQueued) return;
    this.isQueued = true;
    this.sources.soon(() => {
      this.isQueued = false;
      this.view = { ...this.view, version: this.view.version + 1 };
      for (const watcher of this.watchers) watcher();
    });
  }
}
