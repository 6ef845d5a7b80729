import { useEffect, useState, useSyncExternalStore } from "react";

import { liveHub } from "./browser";

/** Milliseconds that a break may last before people are told: a server's restart takes about as long. */
const PATIENCE_MS = 2_500;

function isOnline(): boolean {
  return navigator.onLine;
}

function watchOnline(tell: () => void): () => void {
  addEventListener("online", tell);
  addEventListener("offline", tell);
  return () => {
    removeEventListener("online", tell);
    removeEventListener("offline", tell);
  };
}

/** Whether the page gets no news, and since so long that it should be said. */
export function useIsOffline(): boolean {
  const hub = liveHub();
  const online = useSyncExternalStore(watchOnline, isOnline);
  const state = useSyncExternalStore(
    (tell) => hub.watch(tell),
    () => hub.state,
  );
  const isBroken = !online || state === "lost";
  const [isLong, setLong] = useState(false);
  useEffect(() => {
    if (!isBroken) {
      setLong(false);
      return;
    }
    const timer = setTimeout(() => setLong(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [isBroken]);
  return isBroken && isLong;
}
