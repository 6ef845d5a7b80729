// The items of a transcript as what people read: prompts, texts, tool calls, questions, and what went wrong.
//
// Items come in order, so entries grow at the end; what comes in later of the same thing replaces the entry by a
// new object. Older items, which come by pages, make it begin anew.
import type { PermissionOption, TaskItem } from "../api/types";

export interface ToolCall {
  id: string;
  title: string;
  kind: string;
  status: string;
  content: readonly unknown[];
  locations: readonly unknown[];
  rawInput: unknown;
  rawOutput: unknown;
}

export interface PlanStep {
  content: string;
  status: string;
}

export interface PhaseSeen {
  phase: string;
  state: string;
  ms: number | null;
  /** When it became so, by the server's clock. */
  at: string;
  reason: string | null;
}

export interface PermissionAnswer {
  outcome: string;
  optionId: string | null;
  by: string;
  name: string | null;
}

interface Common {
  key: string;
  /** Of the newest item in it. */
  number: number;
  time: string;
  turn: number;
}

export type Entry = Common &
  (
    | { kind: "prompt"; text: string }
    | { kind: "text"; text: string; isWhole: boolean }
    | { kind: "thought"; text: string }
    | { kind: "tool"; call: ToolCall }
    | { kind: "plan"; steps: readonly PlanStep[] }
    | {
        kind: "permission";
        id: string;
        title: string;
        options: readonly PermissionOption[];
        expiresAt: string | null;
        answer: PermissionAnswer | null;
      }
    | { kind: "report"; summary: string; link: string; outcome: string }
    | { kind: "notice"; level: "info" | "warning" | "error"; text: string; more: string }
    | { kind: "boot"; build: number; round: number; phases: readonly PhaseSeen[] }
  );

type Bag = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const bag = (value: unknown): Bag =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Bag) : {};

export class Conversation {
  readonly entries: Entry[] = [];
  /** Number of the newest item; 0 for none. */
  last = 0;
  /** Number of the oldest item that is here; 0 for none. */
  first = 0;
  /** Name of the coding agent as it told it. */
  agent = "";
  /** Rises with each change, for whoever watches. */
  version = 0;
  private places = new Map<string, number>();

  static of(items: readonly TaskItem[]): Conversation {
    const made = new Conversation();
    for (const item of items) made.add(item);
    return made;
  }

  /** Takes over one item; one that is here already changes nothing. */
  add(item: TaskItem): void {
    if (item.number <= this.last) return;
    this.last = item.number;
    this.first ||= item.number;
    this.version += 1;
    const data = bag(item.data);
    switch (item.kind) {
      case "user_message":
        this.put(item, `prompt:${item.number}`, { kind: "prompt", text: text(data["text"]) });
        return;
      case "agent_text":
      case "agent_message":
        this.addText(item, data);
        return;
      case "thought":
        this.addThought(item, data);
        return;
      case "tool_call":
        this.put(item, `tool:${item.turn}:${text(data["tool_call_id"])}`, {
          kind: "tool",
          call: toolCall(data),
        });
        return;
      case "plan":
        this.put(item, `plan:${item.turn}`, { kind: "plan", steps: planSteps(data["entries"]) });
        return;
      case "permission_request":
      case "permission_response":
        this.addPermission(item, data);
        return;
      case "report":
        this.put(item, `report:${item.number}`, {
          kind: "report",
          summary: text(data["summary"]),
          link: text(data["link"]),
          outcome: text(data["outcome"]),
        });
        return;
      case "phase":
        this.addPhase(item, data);
        return;
      case "session_info":
        this.agent = text(bag(data["agent"])["name"]) || this.agent;
        return;
      default:
        this.addNotice(item, data);
    }
  }

  private addText(item: TaskItem, data: Bag): void {
    const key = `text:${item.turn}:${String(data["message_id"])}`;
    const piece = text(data["text"]);
    if (item.kind === "agent_message") {
      this.put(item, key, { kind: "text", text: piece, isWhole: true });
      return;
    }
    const old = this.find(key);
    const before = old?.kind === "text" ? old.text : "";
    const kept = typeof data["keep"] === "number" ? keepChars(before, data["keep"]) : before;
    this.put(item, key, { kind: "text", text: kept + piece, isWhole: false });
  }

  private addThought(item: TaskItem, data: Bag): void {
    const newest = this.entries[this.entries.length - 1];
    if (newest?.kind === "thought" && newest.turn === item.turn) {
      const thought = newest.text + text(data["text"]);
      this.put(item, newest.key, { kind: "thought", text: thought });
      return;
    }
    this.put(item, `thought:${item.number}`, { kind: "thought", text: text(data["text"]) });
  }

  private addPermission(item: TaskItem, data: Bag): void {
    const id = text(data["id"]);
    const key = `permission:${id}`;
    if (item.kind === "permission_request") {
      this.put(item, key, {
        kind: "permission",
        id,
        title: text(data["title"]),
        options: list(data["options"]) as PermissionOption[],
        expiresAt: text(data["expires_at"]) || null,
        answer: null,
      });
      return;
    }
    const asked = this.find(key);
    if (asked?.kind !== "permission") return; // asked before what has been read so far
    const answer = {
      outcome: text(data["outcome"]),
      optionId: text(data["option_id"]) || null,
      by: text(data["by"]),
      name: text(data["name"]) || null,
    };
    this.put(item, key, { ...asked, answer });
  }

  private addPhase(item: TaskItem, data: Bag): void {
    const build = Number(data["build_number"]);
    const round = Number(data["round"]);
    const key = `boot:${build}:${round}`;
    const old = this.find(key);
    const seen: PhaseSeen = {
      phase: text(data["phase"]),
      state: text(data["state"]),
      ms: typeof data["ms"] === "number" ? data["ms"] : null,
      at: item.time,
      reason: text(data["reason"]) || null,
    };
    const before = old?.kind === "boot" ? old.phases : [];
    const phases = before.some((one) => one.phase === seen.phase)
      ? before.map((one) => (one.phase === seen.phase ? seen : one))
      : [...before, seen];
    this.put(item, key, { kind: "boot", build, round, phases });
  }

  private addNotice(item: TaskItem, data: Bag): void {
    const told = noticeOf(item.kind, data);
    if (told) this.put(item, `notice:${item.number}`, { kind: "notice", ...told });
  }

  private find(key: string): Entry | undefined {
    const place = this.places.get(key);
    return place === undefined ? undefined : this.entries[place];
  }

  private put(item: TaskItem, key: string, what: DistributiveOmit<Entry, keyof Common>): void {
    const place = this.places.get(key);
    const time = place === undefined ? item.time : this.entries[place]!.time;
    const entry = { ...what, key, number: item.number, time, turn: item.turn } as Entry;
    if (place === undefined) {
      this.places.set(key, this.entries.length);
      this.entries.push(entry);
    } else this.entries[place] = entry;
  }
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** The first characters of a text as the server counts them: a pair of surrogates is one. */
export function keepChars(whole: string, count: number): string {
  if (!/[\ud800-\udfff]/.test(whole)) return whole.slice(0, count);
  return Array.from(whole).slice(0, count).join("");
}

function toolCall(data: Bag): ToolCall {
  return {
    id: text(data["tool_call_id"]),
    title: text(data["title"]),
    kind: text(data["kind"]),
    status: text(data["status"]),
    content: list(data["content"]),
    locations: list(data["locations"]),
    rawInput: data["raw_input"],
    rawOutput: data["raw_output"],
  };
}

function planSteps(entries: unknown): PlanStep[] {
  return list(entries).map((step) => ({
    content: text(bag(step)["content"]),
    status: text(bag(step)["status"]),
  }));
}

type Told = { level: "info" | "warning" | "error"; text: string; more: string };

function noticeOf(kind: string, data: Bag): Told | null {
  switch (kind) {
    case "error": {
      const level = data["level"] === "warning" ? "warning" : "error";
      return { level, text: text(data["message"]), more: "" };
    }
    case "turn_end":
      return turnEnd(text(data["reason"]), text(data["error"]));
    case "agent_exit":
      return agentExit(data);
    case "gap":
      return {
        level: "warning",
        text: `Something is missing here: ${text(data["reason"])}`,
        more: "",
      };
    default:
      return null;
  }
}

function turnEnd(reason: string, error: string): Told | null {
  if (error) return { level: "error", text: error, more: "" };
  switch (reason) {
    case "end_turn":
    case "":
      return null;
    case "cancelled":
      return { level: "info", text: "Interrupted.", more: "" };
    case "max_tokens":
      return {
        level: "warning",
        text: "The answer reached the model's limit and was cut.",
        more: "",
      };
    case "refusal":
      return { level: "warning", text: "The model refused to go on.", more: "" };
    default:
      return { level: "info", text: `The turn ended: ${reason}.`, more: "" };
  }
}

/** How the coding agent ended; nothing where it was asked to, as by a pause. */
function agentExit(data: Bag): Told | null {
  const { exit_code: code, signal, screen } = data;
  if (code === 0) return null;
  let how = "";
  if (typeof signal === "number") how = ` by signal ${signal}`;
  else if (typeof code === "number") how = ` with code ${code}`;
  // 15 is how a pause ends what does not end by itself.
  const level = signal === 15 ? "info" : "error";
  return { level, text: `The coding agent ended${how}.`, more: text(screen) };
}

/** Text of a tool call's content and output, and the differences it made. */
export interface ToolParts {
  texts: string[];
  diffs: { path: string; before: string; after: string }[];
}

export function toolParts(call: ToolCall): ToolParts {
  const parts: ToolParts = { texts: [], diffs: [] };
  for (const one of call.content) {
    const block = bag(one);
    if (block["type"] === "diff") {
      parts.diffs.push({
        path: text(block["path"]),
        before: text(block["oldText"]),
        after: text(block["newText"]),
      });
    } else if (block["type"] === "content") {
      const said = text(bag(block["content"])["text"]);
      if (said) parts.texts.push(said);
    } else if (typeof block["text"] === "string") parts.texts.push(block["text"]);
  }
  if (parts.texts.length === 0 && call.rawOutput !== null && call.rawOutput !== undefined) {
    parts.texts.push(readable(call.rawOutput));
  }
  return parts;
}

/** A value as text: a string as it is, an output's own text where there is one, else JSON. */
export function readable(value: unknown): string {
  if (typeof value === "string") return value;
  const told = bag(value);
  for (const key of ["formatted_output", "aggregated_output", "output", "stdout", "text"]) {
    if (typeof told[key] === "string" && told[key]) return told[key];
  }
  return JSON.stringify(value, null, 2);
}
