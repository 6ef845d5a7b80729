// One task's conversation, read backwards by pages and forwards by its stream. The network is handed in.
import type { TaskItem, TaskStanding } from "../api/types";
import type { StreamEvent, StreamState } from "../live/stream";
import { Conversation } from "./conversation";

/** Items of a page; a screen shows about thirty entries, which are some hundred items. */
export const PAGE = 200;
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
  isReadingOlder: boolean;
  isDeleted: boolean;
  stream: StreamState;
  error: unknown;
}

export class Transcript {
  private items: TaskItem[] = [];
  private follow: Follow | null = null;
  private isStopped = false;
  private isQueued = false;
  private readonly watchers = new Set<() => void>();
  private view: TranscriptView = {
    conversation: new Conversation(),
    version: 0,
    isReady: false,
    hasOlder: false,
    isReadingOlder: false,
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
    this.change({ error: null });
    let page: TranscriptPage;
    try {
      page = await this.sources.before(END, PAGE);
    } catch (error) {
      if (!this.isStopped) this.change({ error });
      return;
    }
    if (this.isStopped) return;
    this.items = page.items;
    const conversation = Conversation.of(page.items);
    this.change({ conversation, isReady: true, hasOlder: conversation.first > 1 });
    this.follow = this.sources.follow(
      page.last_number,
      (event) => this.hear(event),
      (stream) => this.change({ stream }),
    );
    this.follow.open();
  }

  async older(): Promise<void> {
    const { conversation, isReadingOlder, hasOlder } = this.view;
    if (isReadingOlder || !hasOlder) return;
    this.change({ isReadingOlder: true });
    try {
      const page = await this.sources.before(conversation.first, PAGE);
      this.items = [...page.items, ...this.items];
      const whole = Conversation.of(this.items);
      whole.agent ||= conversation.agent;
      this.change({
        conversation: whole,
        isReadingOlder: false,
        hasOlder: page.items.length > 0 && whole.first > 1,
      });
    } catch (error) {
      this.change({ isReadingOlder: false, error });
    }
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
      if (item.number <= this.view.conversation.last) return;
      this.items.push(item);
      this.view.conversation.add(item);
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
