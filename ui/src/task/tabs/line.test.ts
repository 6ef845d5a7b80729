import { expect, test } from "vitest";

import { Line, socketAddress, TYPED_BYTES, type LineState, type Socket } from "./line";

function opened() {
  const sent: (string | Uint8Array)[] = [];
  const states: LineState[] = [];
  const bytes: number[] = [];
  const ids: string[] = [];
  const socket: Socket & { isClosed: boolean } = {
    binaryType: "blob",
    isClosed: false,
    onmessage: null,
    onclose: null,
    send: (data) => sent.push(data),
    close: () => (socket.isClosed = true),
  };
  const line = new Line({
    open: () => socket,
    onState: (state) => states.push(state),
    onBytes: (piece) => bytes.push(...piece),
    onId: (id) => ids.push(id),
  });
  const tell = (message: object) => socket.onmessage?.({ data: JSON.stringify(message) });
  return { line, socket, sent, states, bytes, ids, tell };
}

test("bytes are shown, and what is typed is sent once the shell is there", () => {
  const { line, socket, sent, states, bytes, ids, tell } = opened();
  line.type("too early");
  tell({ type: "opened", id: "7", fresh: true });
  socket.onmessage?.({ data: new Uint8Array([1, 2]).buffer });
  line.type("ä");
  line.resize(100, 30);
  expect(bytes).toEqual([1, 2]);
  expect(ids).toEqual(["7"]);
  expect(sent).toEqual([new Uint8Array([0xc3, 0xa4]), '{"type":"resize","cols":100,"rows":30}']);
  expect(states[1]).toEqual({ is: "open", isFresh: true, size: null });
});

test("a long paste goes in several messages, none of it lost", () => {
  const { line, sent, tell } = opened();
  tell({ type: "opened", id: "7", fresh: true });
  line.type("x".repeat(TYPED_BYTES * 2 + 1));
  expect(sent.map((piece) => piece.length)).toEqual([TYPED_BYTES, TYPED_BYTES, 1]);
});

test("a shell that ended cannot be returned to, a lost connection can", () => {
  const one = opened();
  one.tell({ type: "opened", id: "7", fresh: true });
  one.tell({ type: "ended", reason: "ended", message: "The shell ended." });
  expect(one.states.at(-1)).toEqual({ is: "ended", message: "The shell ended.", canReturn: false });
  expect(one.socket.isClosed).toBe(true);
  one.socket.onclose?.();
  expect(one.states).toHaveLength(3);

  const other = opened();
  other.tell({ type: "opened", id: "7", fresh: true });
  other.socket.onclose?.();
  expect(other.states.at(-1)).toMatchObject({ is: "ended", canReturn: true });
});

test("a coding agent without a screen is told as such; one with a screen tells its size", () => {
  const one = opened();
  one.tell({ type: "attached", transport: "acp", agent: "x", may_type: true });
  expect(one.states.at(-1)).toMatchObject({ is: "ended", canReturn: false });
  const other = opened();
  other.tell({ type: "attached", transport: "pty", agent: "x", cols: 120, rows: 40 });
  expect(other.states.at(-1)).toMatchObject({ is: "open", size: { cols: 120, rows: 40 } });
});

test("messages that are none change nothing", () => {
  const { socket, states, tell } = opened();
  socket.onmessage?.({ data: "no JSON" });
  socket.onmessage?.({ data: "null" });
  tell({ type: "news of later releases" });
  expect(states).toHaveLength(1);
});

test("hanging up is silent", () => {
  const { line, socket, states } = opened();
  line.close();
  socket.onclose?.();
  expect(states).toHaveLength(1);
});

test("the line is as private as the page", () => {
  expect(socketAddress("/x", { protocol: "https:", host: "y" })).toBe("wss://y/x");
  expect(socketAddress("/x", { protocol: "http:", host: "y:1" })).toBe("ws://y:1/x");
});
