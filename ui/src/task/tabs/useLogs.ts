import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { followLog, type Log } from "./followLog";
import { LogBook, type LogLine } from "./logLines";

interface Read {
  lines: readonly LogLine[];
  /** Whether all that was there at first is read. */
  isRead: boolean;
  error: unknown;
}

/** The lines of some logs as one, read and followed as long as they are looked at. */
export function useLogs(logs: readonly Log[]): Read {
  const book = useMemo(() => new LogBook(), []);
  const keys = logs.map((log) => log.key).join(" ");
  const latest = useRef(logs);
  latest.current = logs;
  const [left, setLeft] = useState(() => new Set(["any"]));
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    setLeft(new Set(latest.current.map((log) => log.key)));
    const ends = latest.current.map((log) =>
      followLog(log, book, {
        onRead: () => setLeft((before) => new Set([...before].filter((key) => key !== log.key))),
        onError: setError,
      }),
    );
    return () => ends.forEach((end) => end());
  }, [book, keys]);
  const lines = useSyncExternalStore(book.watch, () => book.lines);
  return { lines, isRead: left.size === 0, error };
}
