// The hub of this tab, made of what the browser has.
import { api } from "../api/client";
import { Hub, type Channel, type Message } from "./hub";
import { watchSleep } from "./sleep";

const NAME = "taskyard-live";

function channelOf(): Channel {
  if (typeof BroadcastChannel === "undefined") {
    return { send: () => undefined, listen: () => undefined, close: () => undefined };
  }
  const channel = new BroadcastChannel(NAME);
  return {
    send: (message) => channel.postMessage(message),
    listen: (hear) => {
      channel.onmessage = (event) => hear(event.data as Message);
    },
    close: () => channel.close(),
  };
}

/** Leads once the lock is this tab's. Plain http beyond loopback has no locks: there each tab leads itself. */
function elect(lead: () => () => void): () => void {
  if (!navigator.locks) return lead();
  let release: () => void = () => undefined;
  const waiting = new AbortController();
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let end: (() => void) | undefined;
  void navigator.locks
    .request(NAME, { signal: waiting.signal }, () => {
      end = lead();
      return held;
    })
    .catch(() => undefined); // given up before it came
  return () => {
    waiting.abort();
    end?.();
    release();
  };
}

/** A stream that is refused may mean that the session is over: the answer 401 leads to the sign-in. */
async function seeWhetherSignedIn(): Promise<void> {
  try {
    await api.get("/api/v2/users/{user}", { path: { user: "me" } });
  } catch {
    // Away, as the page says by itself.
  }
}

let hub: Hub | null = null;
let stopWatching: () => void = () => undefined;

/** The hub, started at the first call. */
export function liveHub(): Hub {
  if (hub) return hub;
  const made = new Hub({
    url: (after) => `/api/v2/events${after ? `?after=${encodeURIComponent(after)}` : ""}`,
    events: ["task", "reset"],
    elect,
    channel: channelOf(),
    onFail: () => void seeWhetherSignedIn(),
  });
  hub = made;
  made.start();
  stopWatching = watchSleep(() => made.wake());
  return made;
}

/** Ends it, for when somebody signs out. */
export function endLive(): void {
  stopWatching();
  hub?.stop();
  hub = null;
}
