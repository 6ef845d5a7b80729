import { expect, it } from "vitest";

import { backoff } from "./backoff";
import { Stream, type Source, type StreamEvent, type Surroundings } from "./stream";

class FakeSource implements Source {
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  isClosed = false;
  private heard = new Map<string, (event: { data: string; lastEventId: string }) => void>();
  constructor(readonly url: string) {}
  addEventListener(name: string, listen: (event: { data: string; lastEventId: string }) => void) {
    this.heard.set(name, listen);
  }
  close() {
    this.isClosed = true;
  }
  say(name: string, data: string, lastEventId: string) {
    this.heard.get(name)?.({ data, lastEventId });
  }
}

function world() {
  const sources: FakeSource[] = [];
  const waiting: { run: () => void; ms: number }[] = [];
  const surroundings: Surroundings = {
    open: (url) => {
      const source = new FakeSource(url);
      sources.push(source);
      return source;
    },
    later: (run, ms) => {
      const entry = { run, ms };
      waiting.push(entry);
      return () => void waiting.splice(waiting.indexOf(entry), 1);
    },
    random: () => 1,
  };
  const events: StreamEvent[] = [];
  const states: string[] = [];
  const stream = new Stream({
    url: (after) => `/events?after=${after}`,
    events: ["item"],
    onEvent: (event) => events.push(event),
    onState: (state) => states.push(state),
    surroundings,
  });
  const newest = () => sources[sources.length - 1]!;
  return { stream, sources, waiting, events, states, newest };
}

it("goes on behind the last id after a break", () => {
  const { stream, waiting, newest, states } = world();
  stream.open();
  newest().onopen?.();
  newest().say("item", "{}", "7.2");
  newest().onerror?.();
  expect(states).toEqual(["connecting", "live", "lost"]);
  waiting.shift()!.run();
  expect(newest().url).toBe("/events?after=7.2");
  newest().onopen?.();
  expect(states.at(-1)).toBe("live");
});

it("waits longer each time, and not after it has been live again", () => {
  const { stream, waiting, newest } = world();
  stream.open();
  const waits: number[] = [];
  for (let i = 0; i < 3; i++) {
    newest().onerror?.();
    const next = waiting.shift()!;
    waits.push(next.ms);
    next.run();
  }
  expect(waits).toEqual([500, 1000, 2000]);
  newest().onopen?.();
  newest().onerror?.();
  expect(waiting.shift()!.ms).toBe(500);
});

it("hears nothing of a source that it has left", () => {
  const { stream, newest, events, sources } = world();
  stream.open();
  const old = newest();
  stream.reopen();
  expect(old.isClosed).toBe(true);
  old.say("item", "late", "9");
  expect(events).toEqual([]);
  expect(sources).toHaveLength(2);
});

it("stays closed: no try is left over", () => {
  const { stream, waiting, newest, states } = world();
  stream.open();
  newest().onerror?.();
  stream.close();
  expect(waiting).toEqual([]);
  expect(states.at(-1)).toBe("closed");
});

it("never waits more than 15 seconds", () => {
  expect(backoff(50, () => 1)).toBe(15_000);
  expect(backoff(0, () => 0)).toBe(375);
});
