// The stream of all tasks, once per browser: HTTP/1.1 gives a host six connections, and people open more tabs.
//
// The tab that holds the lock leads: it has the stream and repeats each event to the others. When it goes, the
// next one gets the lock and goes on behind the last id that it heard, so that nothing falls in between.
import { Stream, browser, type StreamEvent, type StreamState, type Surroundings } from "./stream";

export type Message =
  | { kind: "event"; event: StreamEvent }
  | { kind: "state"; state: StreamState; lastId: string }
  /** A new tab asks how things are. */
  | { kind: "hello" };

export interface Channel {
  send(message: Message): void;
  listen(hear: (message: Message) => void): void;
  close(): void;
}

export interface HubOptions {
  url: (after: string) => string;
  events: readonly string[];
  /** Runs lead() once this tab may lead; what it gives back ends the leading. */
  elect(lead: () => () => void): () => void;
  channel: Channel;
  onFail?: () => void;
  surroundings?: Surroundings;
}

type Listener = (event: StreamEvent) => void;

/** Made by the page itself: what was missed is not known, so whoever keeps a list reads it anew. */
export const RESET: StreamEvent = { name: "reset", id: "", data: "{}" };

export class Hub {
  private stream: Stream | null = null;
  private lastId = "";
  private now: StreamState = "connecting";
  private hasNews = false;
  private readonly listeners = new Set<Listener>();
  private readonly watchers = new Set<() => void>();
  private resign: (() => void) | null = null;

  constructor(private readonly options: HubOptions) {}

  start(): void {
    this.options.channel.listen((message) => this.hear(message));
    this.resign = this.options.elect(() => this.lead());
    this.options.channel.send({ kind: "hello" });
  }

  stop(): void {
    this.resign?.();
    this.resign = null;
    this.options.channel.close();
  }

  get state(): StreamState {
    return this.now;
  }

  get leads(): boolean {
    return this.stream !== null;
  }

  /** After a sleep, or when the network is back: the leader calls again at once. */
  wake(): void {
    this.stream?.reopen();
  }

  subscribe(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  watch(tell: () => void): () => void {
    this.watchers.add(tell);
    return () => this.watchers.delete(tell);
  }

  private lead(): () => void {
    const stream = new Stream({
      url: this.options.url,
      events: this.options.events,
      after: this.lastId,
      surroundings: this.options.surroundings ?? browser,
      onEvent: (event) => {
        this.lastId = event.id || this.lastId;
        this.options.channel.send({ kind: "event", event });
        this.tell(event);
      },
      onState: (state) => this.become(state, true),
      ...(this.options.onFail && { onFail: this.options.onFail }),
    });
    this.stream = stream;
    stream.open();
    return () => {
      this.stream = null;
      stream.close();
    };
  }

  private hear(message: Message): void {
    if (message.kind === "hello") {
      if (this.stream) this.share();
      return;
    }
    if (this.stream) return; // two leaders for a moment: each has its own stream
    if (message.kind === "event") {
      this.lastId = message.event.id || this.lastId;
      this.tell(message.event);
      return;
    }
    // What happened before this tab listened was told to others, so its list may be older than that.
    if (!this.hasNews && message.lastId) this.tell(RESET);
    this.lastId = message.lastId || this.lastId;
    this.become(message.state, false);
  }

  private share(): void {
    this.options.channel.send({ kind: "state", state: this.now, lastId: this.lastId });
  }

  private tell(event: StreamEvent): void {
    this.hasNews = true;
    for (const listener of this.listeners) listener(event);
  }

  private become(state: StreamState, tellOthers: boolean): void {
    this.now = state;
    if (tellOthers) this.share();
    for (const watcher of this.watchers) watcher();
  }
}
