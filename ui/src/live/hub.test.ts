import { expect, it } from "vitest";

import { Hub, type Channel, type Message } from "./hub";
import type { Source, StreamEvent, Surroundings } from "./stream";

class FakeSource implements Source {
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  private heard = new Map<string, (event: { data: string; lastEventId: string }) => void>();
  constructor(readonly url: string) {}
  addEventListener(name: string, listen: (event: { data: string; lastEventId: string }) => void) {
    this.heard.set(name, listen);
  }
  close() {}
  say(name: string, id: string) {
    this.heard.get(name)?.({ data: "{}", lastEventId: id });
  }
}

/** A browser with several tabs: one lock, one channel, the streams that were opened. */
function browserOf() {
  const sources: FakeSource[] = [];
  const queue: { lead: () => () => void; end?: (() => void) | undefined }[] = [];
  const hearers = new Map<object, (message: Message) => void>();
  const surroundings: Surroundings = {
    open: (url) => {
      const source = new FakeSource(url);
      sources.push(source);
      return source;
    },
    later: () => () => undefined,
    random: () => 0,
  };
  const grant = () => {
    const first = queue[0];
    if (first && !first.end) first.end = first.lead();
  };
  const tab = () => {
    const me = {};
    const channel: Channel = {
      send: (message) => hearers.forEach((hear, who) => who !== me && hear(message)),
      listen: (hear) => void hearers.set(me, hear),
      close: () => void hearers.delete(me),
    };
    const heard: StreamEvent[] = [];
    const hub = new Hub({
      url: (after) => `/events?after=${after}`,
      events: ["task", "reset"],
      channel,
      surroundings,
      elect: (lead) => {
        const entry: (typeof queue)[number] = { lead };
        queue.push(entry);
        grant();
        return () => {
          entry.end?.();
          queue.splice(queue.indexOf(entry), 1);
          grant();
        };
      },
    });
    hub.subscribe((event) => heard.push(event));
    hub.start();
    return { hub, heard };
  };
  return { tab, sources };
}

it("opens one stream for all tabs, and each hears each event once", () => {
  const { tab, sources } = browserOf();
  const first = tab();
  const second = tab();
  expect(sources).toHaveLength(1);
  sources[0]!.onopen?.();
  sources[0]!.say("task", "5");
  expect([first.heard.length, second.heard.length]).toEqual([1, 1]);
  expect([first.hub.state, second.hub.state]).toEqual(["live", "live"]);
  expect([first.hub.leads, second.hub.leads]).toEqual([true, false]);
});

it("goes on behind the last id when the leading tab is closed", () => {
  const { tab, sources } = browserOf();
  const first = tab();
  const second = tab();
  sources[0]!.say("task", "5");
  first.hub.stop();
  expect(second.hub.leads).toBe(true);
  expect(sources[1]!.url).toBe("/events?after=5");
});

it("tells a tab that comes later to read the list, as it has missed what was before", () => {
  const { tab, sources } = browserOf();
  tab();
  sources[0]!.onopen?.();
  sources[0]!.say("task", "5");
  const late = tab();
  expect(late.heard.map((event) => event.name)).toEqual(["reset"]);
  expect(late.hub.state).toBe("live");
});

it("tells all tabs when the connection is lost", () => {
  const { tab, sources } = browserOf();
  tab();
  const second = tab();
  sources[0]!.onerror?.();
  expect(second.hub.state).toBe("lost");
});
