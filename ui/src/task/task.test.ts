import { describe, expect, it } from "vitest";

import type { TaskItem } from "../api/types";
import type { StreamEvent } from "../live/stream";
import { Conversation, keepChars, readable, toolParts } from "./conversation";
import { diffLines } from "./diff";
import { Transcript } from "./transcript";

const item = (number: number, kind: string, data: object, turn = 1): TaskItem => ({
  number,
  kind,
  turn,
  time: "2026-03-01T09:00:00Z",
  stored_at: "2026-03-01T09:00:00Z",
  data: data as Record<string, never>,
});

describe("a conversation", () => {
  it("puts the pieces of a text together, until the whole of it comes", () => {
    const talk = Conversation.of([
      item(1, "agent_text", { message_id: 1, text: "Hel" }),
      item(2, "agent_text", { message_id: 1, text: "lo wrold" }),
      item(3, "agent_text", { message_id: 1, text: "world", keep: 6 }),
    ]);
    expect(talk.entries).toMatchObject([{ kind: "text", text: "Hello world", isWhole: false }]);
    talk.add(item(4, "agent_message", { message_id: 1, text: "Hello world!" }));
    expect(talk.entries).toMatchObject([{ text: "Hello world!", isWhole: true }]);
  });

  it("takes each item once", () => {
    const piece = item(1, "agent_text", { message_id: 1, text: "a" });
    expect(Conversation.of([piece, piece]).entries).toMatchObject([{ text: "a" }]);
  });

  it("shows a tool call once, as it stands, and makes a new object of what changed only", () => {
    const talk = Conversation.of([
      item(1, "user_message", { text: "go" }),
      item(2, "tool_call", { tool_call_id: "a", title: "ls", status: "pending" }),
    ]);
    const [prompt, tool] = talk.entries;
    talk.add(item(3, "tool_call", { tool_call_id: "a", title: "ls", status: "completed" }));
    expect(talk.entries).toHaveLength(2);
    expect(talk.entries[0]).toBe(prompt);
    expect(talk.entries[1]).not.toBe(tool);
    expect(talk.entries[1]).toMatchObject({ call: { status: "completed" } });
  });

  it("joins a question with its answer", () => {
    const talk = Conversation.of([
      item(1, "permission_request", { id: "p", title: "Run?", options: [] }),
      item(2, "permission_response", {
        id: "p",
        outcome: "selected",
        option_id: "yes",
        by: "person",
      }),
      item(3, "permission_response", { id: "of an older page", outcome: "cancelled" }),
    ]);
    expect(talk.entries).toMatchObject([{ kind: "permission", answer: { optionId: "yes" } }]);
  });

  it("collects the phases of a start, each as it stands", () => {
    const phase = (n: number, name: string, state: string) =>
      item(n, "phase", { build_number: 1, round: 1, phase: name, state, ms: 5, reason: null }, 0);
    const talk = Conversation.of([
      phase(1, "queued", "done"),
      phase(2, "preparing", "began"),
      phase(3, "preparing", "failed"),
    ]);
    expect(talk.entries).toMatchObject([
      { kind: "boot", phases: [{ phase: "queued" }, { phase: "preparing", state: "failed" }] },
    ]);
  });

  it("says how a turn ended where it did not end well", () => {
    const talk = Conversation.of([
      item(1, "turn_end", { reason: "end_turn", error: null }),
      item(2, "turn_end", { reason: "error", error: "No credit." }),
      item(3, "agent_exit", { exit_code: 1, signal: null, screen: "boom" }),
      item(4, "nobody knows this kind", { x: 1 }),
    ]);
    expect(talk.entries).toMatchObject([
      { level: "error", text: "No credit." },
      { level: "error", text: "The coding agent ended with code 1.", more: "boom" },
    ]);
  });

  it("survives data that is not what it should be", () => {
    const kinds = [
      "user_message",
      "agent_text",
      "tool_call",
      "plan",
      "permission_request",
      "phase",
    ];
    const talk = Conversation.of(
      kinds.map((kind, n) => item(n + 1, kind, { text: 5, entries: {}, options: "x" })),
    );
    expect(talk.entries).toHaveLength(kinds.length);
  });

  it("holds 50,000 items", () => {
    const items = Array.from({ length: 50_000 }, (_, n) =>
      item(n + 1, "agent_message", { message_id: n, text: "a line" }),
    );
    expect(Conversation.of(items).entries).toHaveLength(50_000);
  });
});

it("counts a pair of surrogates as one character, as the server does", () => {
  expect(keepChars("a😀b", 2)).toBe("a😀");
});

it("finds text and differences in a tool call", () => {
  const call = {
    id: "a",
    title: "",
    kind: "edit",
    status: "completed",
    locations: [],
    rawInput: null,
    rawOutput: null,
    content: [
      { type: "diff", path: "/a", oldText: "x", newText: "y" },
      { type: "content", content: { type: "text", text: "done" } },
      7,
    ],
  };
  expect(toolParts(call)).toEqual({
    texts: ["done"],
    diffs: [{ path: "/a", before: "x", after: "y" }],
  });
  expect(readable({ stdout: "out", code: 0 })).toBe("out");
});

describe("a difference", () => {
  const signs = (before: string, after: string) =>
    diffLines(before, after).map((line) => line.sign + line.text);

  it("shows what went and came, with a little around it", () => {
    const old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
    expect(signs(old, old.replace("8", "eight"))).toEqual([
      "…",
      " 5",
      " 6",
      " 7",
      "-8",
      "+eight",
      " 9",
    ]);
  });

  it("of a new file is all that came", () => {
    expect(signs("", "a\nb\n")).toEqual(["+a", "+b"]);
  });
});

describe("a transcript", () => {
  function world(total: number) {
    let tell: (event: StreamEvent) => void = () => undefined;
    const asked: number[] = [];
    const followed: number[] = [];
    const pageOf = (start: number, end: number) => ({
      items: Array.from({ length: Math.max(0, end - start + 1) }, (_, n) =>
        item(start + n, "user_message", { text: `p${start + n}` }),
      ),
      last_number: total,
    });
    const transcript = new Transcript(
      {
        after: async (number, limit) => pageOf(number + 1, Math.min(total, number + limit)),
        before: async (number, limit) => {
          asked.push(number);
          const end = Math.min(number - 1, total);
          return pageOf(Math.max(1, end - limit + 1), end);
        },
        follow: (after, onEvent) => {
          followed.push(after);
          tell = onEvent;
          return { open: () => undefined, close: () => undefined, reopen: () => undefined };
        },
        soon: (run) => run(),
      },
      () => undefined,
      () => undefined,
    );
    return { transcript, asked, followed, hear: (event: StreamEvent) => tell(event) };
  }

  it("reads the newest page, follows from there, and older pages when asked", async () => {
    const { transcript, followed, hear } = world(450);
    await transcript.start();
    expect(followed).toEqual([450]);
    expect(transcript.get().conversation.first).toBe(251);
    hear({
      name: "item",
      id: "451.1",
      data: JSON.stringify(item(451, "user_message", { text: "x" })),
    });
    hear({
      name: "item",
      id: "451.1",
      data: JSON.stringify(item(451, "user_message", { text: "x" })),
    });
    await transcript.older();
    await transcript.older();
    const { conversation, hasOlder } = transcript.get();
    expect(conversation.entries).toHaveLength(451);
    expect(hasOlder).toBe(false);
  });

  it("jumps to its start and back to its end, reading little", async () => {
    const { transcript, asked, hear } = world(50_000);
    const news = (number: number) =>
      hear({
        name: "item",
        id: `${number}.1`,
        data: JSON.stringify(item(number, "user_message", { text: "new" })),
      });
    await transcript.start();
    await transcript.toStart();
    const start = transcript.get();
    expect([start.conversation.first, start.hasOlder, start.hasNewer]).toEqual([1, false, true]);
    news(50_001);
    expect(transcript.get().conversation.last).toBe(200);
    await transcript.newer();
    expect(transcript.get().conversation.entries).toHaveLength(700);
    await transcript.toEnd();
    const end = transcript.get();
    expect([end.conversation.last, end.hasOlder]).toEqual([50_000, true]);
    expect(asked).toHaveLength(2);
  });

  it("follows again once it has read up to the end", async () => {
    const { transcript, hear } = world(300);
    await transcript.start();
    await transcript.toStart();
    await transcript.newer();
    expect(transcript.get().hasNewer).toBe(false);
    hear({
      name: "item",
      id: "301.1",
      data: JSON.stringify(item(301, "user_message", { text: "new" })),
    });
    expect(transcript.get().conversation.last).toBe(301);
  });

  it("says what failed, and does it again", async () => {
    let isAway = true;
    const transcript = new Transcript(
      {
        before: async () => {
          if (isAway) throw new Error("away");
          return { items: [], last_number: 0 };
        },
        after: async () => ({ items: [], last_number: 0 }),
        follow: () => ({
          open: () => undefined,
          close: () => undefined,
          reopen: () => undefined,
        }),
        soon: (run) => run(),
      },
      () => undefined,
      () => undefined,
    );
    await transcript.start();
    expect(transcript.get()).toMatchObject({ isReady: false, reading: "" });
    expect(transcript.get().error).toBeInstanceOf(Error);
    isAway = false;
    transcript.retry();
    await Promise.resolve();
    await Promise.resolve();
    expect(transcript.get()).toMatchObject({ isReady: true, error: null });
  });

  it("says when the task is no more", async () => {
    const { transcript, hear } = world(1);
    await transcript.start();
    hear({ name: "deleted", id: "2", data: "{}" });
    expect(transcript.get().isDeleted).toBe(true);
  });
});
