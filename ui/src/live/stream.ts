// One server-sent stream that is kept open: tries again by itself, and goes on where it was.
import { backoff } from "./backoff";

export type StreamState = "connecting" | "live" | "lost" | "closed";

export interface StreamEvent {
  name: string;
  id: string;
  data: string;
}

/** As much of EventSource as is used, so that a test can stand in for it. */
export interface Source {
  onopen: (() => void) | null;
  onerror: (() => void) | null;
  addEventListener(
    name: string,
    listen: (event: { data: string; lastEventId: string }) => void,
  ): void;
  close(): void;
}

export interface Surroundings {
  open(url: string): Source;
  later(run: () => void, ms: number): () => void;
  random(): number;
}

export interface StreamOptions {
  /** The address; after: the id to go on behind, empty for the beginning. */
  url(after: string): string;
  events: readonly string[];
  after?: string;
  onEvent(event: StreamEvent): void;
  onState(state: StreamState): void;
  /** Told each time that it broke or was not let in; an EventSource does not say which. */
  onFail?: () => void;
  surroundings?: Surroundings;
}

export const browser: Surroundings = {
  open: (url) => new EventSource(url) as unknown as Source,
  later: (run, ms) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  random: Math.random,
};

export class Stream {
  private source: Source | null = null;
  private cancelRetry: (() => void) | null = null;
  private attempt = 0;
  private last: string;
  private current: StreamState = "closed";
  private readonly around: Surroundings;

  constructor(private readonly options: StreamOptions) {
    this.last = options.after ?? "";
    this.around = options.surroundings ?? browser;
  }

  get state(): StreamState {
    return this.current;
  }

  /** The id of the newest event, which is where another stream may go on. */
  get lastId(): string {
    return this.last;
  }

  /** Begins, or goes on where it was when it was closed. */
  open(): void {
    if (this.source !== null) return;
    this.stopWaiting();
    const source = this.around.open(this.options.url(this.last));
    this.source = source;
    if (this.current !== "lost") this.become("connecting");
    source.onopen = () => {
      if (source !== this.source) return;
      this.attempt = 0;
      this.become("live");
    };
    source.onerror = () => {
      if (source === this.source) this.fail();
    };
    for (const name of this.options.events) {
      source.addEventListener(name, (event) => {
        if (source !== this.source) return;
        if (event.lastEventId) this.last = event.lastEventId;
        this.options.onEvent({ name, id: event.lastEventId, data: event.data });
      });
    }
  }

  /** Hangs up and calls again at once: after a sleep, a connection may be dead without knowing it. */
  reopen(): void {
    this.drop();
    this.attempt = 0;
    this.open();
  }

  close(): void {
    this.drop();
    this.stopWaiting();
    this.become("closed");
  }

  // EventSource gives up for good at any answer but 200, so its own tries are not relied on.
  private fail(): void {
    this.drop();
    this.become("lost");
    this.options.onFail?.();
    const wait = backoff(this.attempt, this.around.random);
    this.attempt += 1;
    this.cancelRetry = this.around.later(() => {
      this.cancelRetry = null;
      this.open();
    }, wait);
  }

  private drop(): void {
    this.source?.close();
    this.source = null;
  }

  private stopWaiting(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
  }

  private become(state: StreamState): void {
    if (state === this.current) return;
    this.current = state;
    this.options.onState(state);
  }
}
