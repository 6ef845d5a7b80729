// The line to a terminal in a workspace: what is said over its WebSocket, without knowing who draws it.

export type LineState =
  | { is: "connecting" }
  | { is: "open"; isFresh: boolean; size: { cols: number; rows: number } | null }
  /** canReturn: what ran there may still be there. */
  | { is: "ended"; message: string; canReturn: boolean };

/** As much of a WebSocket as is used, so that a test can stand in for it. */
export interface Socket {
  binaryType: string;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: (() => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export interface LineOptions {
  open(): Socket;
  onState(state: LineState): void;
  onBytes(bytes: Uint8Array): void;
  onId?(id: string): void;
}

/** Bytes that are typed in one message: the server takes 64 KiB, and a page that was pasted is longer. */
export const TYPED_BYTES = 32 * 1024;

const LOST = "The connection ended.";

export class Line {
  private readonly socket: Socket;
  private isOpen = false;
  private isOver = false;

  constructor(private readonly options: LineOptions) {
    const socket = options.open();
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (this.isOver) return;
      if (data instanceof ArrayBuffer) options.onBytes(new Uint8Array(data));
      else if (typeof data === "string") this.told(data);
    };
    socket.onclose = () => this.end(this.isOpen ? LOST : "No terminal could be opened.", true);
    options.onState({ is: "connecting" });
  }

  /** What was typed, in as many messages as it takes. */
  type(text: string): void {
    this.typeBytes(new TextEncoder().encode(text));
  }

  typeBytes(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.isOpen || this.isOver) return;
    for (let at = 0; at < bytes.length; at += TYPED_BYTES) {
      this.socket.send(bytes.slice(at, at + TYPED_BYTES));
    }
  }

  resize(cols: number, rows: number): void {
    if (!this.isOpen || this.isOver) return;
    this.socket.send(JSON.stringify({ type: "resize", cols, rows }));
  }

  /** Hangs up; nothing is told of it. */
  close(): void {
    this.isOver = true;
    this.socket.close();
  }

  private told(text: string): void {
    const message = read(text);
    switch (message["type"]) {
      case "opened":
        this.isOpen = true;
        if (typeof message["id"] === "string") this.options.onId?.(message["id"]);
        this.options.onState({ is: "open", isFresh: message["fresh"] === true, size: null });
        break;
      case "attached":
        if (message["transport"] !== "pty") {
          this.end("This coding agent has no screen. The conversation shows what it does.", false);
          break;
        }
        this.isOpen = true;
        this.options.onState({
          is: "open",
          isFresh: false,
          size: sizeOf(message["cols"], message["rows"]),
        });
        break;
      case "ended":
        this.end(String(message["message"] ?? LOST), message["reason"] !== "ended");
        break;
    }
  }

  private end(message: string, canReturn: boolean): void {
    if (this.isOver) return;
    this.close();
    this.options.onState({ is: "ended", message, canReturn });
  }
}

function sizeOf(cols: unknown, rows: unknown): { cols: number; rows: number } | null {
  return typeof cols === "number" && typeof rows === "number" && cols > 1 && rows > 0
    ? { cols, rows }
    : null;
}

function read(text: string): Record<string, unknown> {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && message !== null
      ? (message as Record<string, unknown>)
      : {};
  } catch {
    return {};
  }
}

/** The address of a WebSocket of the API, on the page's own server. */
export function socketAddress(path: string, at: Pick<Location, "protocol" | "host">): string {
  return `${at.protocol === "https:" ? "wss" : "ws"}://${at.host}${path}`;
}
