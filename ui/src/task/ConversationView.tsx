// The conversation: some thirty rows of however many there are, which follow the end while one is at the end.
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";

import type { Task } from "../api/types";
import { Bone, Button, ErrorBox } from "../design";
import { tell } from "../design/toast";
import type { Entry } from "./conversation";
import { EntryView, type Place } from "./Entries";
import { KeptStates, Named } from "./kept";
import { Waiting } from "./Permission";
import { queueWords } from "./phases";
import { guess, isShown, nameOf } from "./rows";
import { Seen, SeenIds } from "./seen";
import css from "./task.module.css";
import type { Transcript, TranscriptView } from "./transcript";
import { usePlace } from "./usePlace";

/** Pixels from the end within which the page follows what comes, and from an edge within which more is read. */
const NEAR = 80;
const SOON = 1200;

/** Rows up to which all are in the document, so that the browser's own search finds everything. */
const ALL_ROWS = 120;

/** Pixels between rows, and above and below all: room for what is said there. */
const GAP = 12;
const TOP = { older: 48, first: 16 };
const BOTTOM = 40;

/** Where Home and End belong to somebody else. */
const OWN_KEYS = "input, textarea, select, pre, [role=region]:not([data-talk]), dialog";

export function ConversationView({
  transcript,
  view,
  place,
  task,
}: {
  transcript: Transcript;
  view: TranscriptView;
  place: Place;
  task: Task | null;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const [kept] = useState(() => new Map<string, boolean>());
  const [seen] = useState(() => new SeenIds());
  const [isAway, setAway] = useState(false);
  const { conversation, version, isReady, hasOlder, hasNewer, reading } = view;
  const { isShell, failure } = place;

  const rows = useMemo(
    () => conversation.entries.filter((entry) => isShown(entry, isShell, failure)),
    // The entries grow in place; the version says when.
    [conversation, version, isShell, failure],
  );
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => guess(rows[index]!),
    getItemKey: useCallback((index: number) => rows[index]!.key, [rows]),
    overscan: rows.length <= ALL_ROWS ? ALL_ROWS : 6,
    gap: GAP,
    paddingStart: hasOlder ? TOP.older : TOP.first,
    paddingEnd: BOTTOM,
  });

  const keys = useMemo(() => rows.map((row) => row.key), [rows]);
  const { moved, go } = usePlace(scroller, virtual, keys, hasNewer);

  const look = useCallback(() => {
    const box = scroller.current;
    if (!box || !isReady) return;
    const left = box.scrollHeight - box.clientHeight - box.scrollTop;
    setAway(left > NEAR || hasNewer);
    if (reading) return;
    if (hasOlder && box.scrollTop < SOON) void transcript.older();
    else if (hasNewer && left < SOON) void transcript.newer();
  }, [isReady, hasOlder, hasNewer, reading, transcript]);
  // Also where nothing was scrolled: a page may not fill the screen. Rows have their true heights in the next frame.
  useEffect(() => {
    const frame = requestAnimationFrame(look);
    return () => cancelAnimationFrame(frame);
  }, [look, version]);

  const toStart = async () => {
    await transcript.toStart();
    go("start");
  };
  const toEnd = async () => {
    await transcript.toEnd();
    go("end");
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if ((event.target as Element).closest(OWN_KEYS)) return;
    if (event.key !== "Home" && event.key !== "End") return;
    event.preventDefault();
    void (event.key === "Home" ? toStart() : toEnd());
  };

  useSearchHint(rows.length > ALL_ROWS || hasOlder || hasNewer);

  const show = (id: string): boolean => {
    const row = rows.find((entry) => entry.kind === "permission" && entry.id === id);
    if (row) go(row.key);
    return row !== undefined;
  };

  const isWorking =
    task?.status === "active" && task.current_state?.state === "working" && !task.waiting_for;
  const size = hasOlder || hasNewer ? -1 : rows.length;
  return (
    <Seen value={seen}>
      <div className={css.talk}>
        {view.error !== null && (
          <div className={css.readError}>
            <ErrorBox error={view.error} onRetry={transcript.retry} />
          </div>
        )}
        <div
          ref={scroller}
          className={css.scroller}
          role="region"
          data-talk=""
          aria-label="Conversation"
          tabIndex={0}
          onScroll={() => {
            moved();
            look();
          }}
          onKeyDown={onKeyDown}
        >
          {!isReady && view.error === null && (
            <div
              className={css.bones}
              role="status"
              aria-busy="true"
              aria-label="Reading the conversation"
            >
              <Bone width={60} />
              <Bone width={85} />
              <Bone width={70} />
            </div>
          )}
          {isReady && rows.length === 0 && (
            <p className={css.nothing}>
              {(task?.status === "pending" && queueWords(task.queue)) ||
                "Nothing has been said yet."}
            </p>
          )}
          <KeptStates store={kept}>
            <div className={css.entries} style={{ height: virtual.getTotalSize() }}>
              {isReady && hasOlder && (
                <p className={css.older}>
                  {reading === "older" ? "Reading what was before…" : "There is more before this."}
                  <Button kind="quiet" onClick={() => void toStart()}>
                    To the start
                  </Button>
                </p>
              )}
              {rows.length > 0 && (
                <div
                  role="feed"
                  aria-label="What was said and done"
                  aria-busy={reading !== "" && reading !== "newer"}
                >
                  {virtual.getVirtualItems().map((item) => (
                    <div
                      key={item.key}
                      ref={virtual.measureElement}
                      data-index={item.index}
                      className={css.row}
                      style={{ transform: `translateY(${item.start}px)` }}
                      role="article"
                      aria-label={nameOf(rows[item.index]!)}
                      aria-posinset={item.index + 1}
                      aria-setsize={size}
                    >
                      <Row entry={rows[item.index]!} place={place} />
                    </div>
                  ))}
                </div>
              )}
              {isWorking && !hasNewer && <p className={css.busy}>Working</p>}
            </div>
          </KeptStates>
        </div>
        {isAway && (
          <Button className={css.toEnd} onClick={() => void toEnd()}>
            To the end ↓
          </Button>
        )}
      </div>
      {task && <Waiting place={place} show={show} />}
    </Seen>
  );
}

const Row = memo(function Row({ entry, place }: { entry: Entry; place: Place }) {
  return (
    <Named name={entry.key}>
      <EntryView entry={entry} place={place} />
    </Named>
  );
});

/** Says once what the browser's search does not find, when somebody is about to use it. */
function useSearchHint(isPart: boolean): void {
  const isTold = useRef(false);
  useEffect(() => {
    if (!isPart) return;
    const listen = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "f" || !(event.ctrlKey || event.metaKey) || isTold.current) return;
      isTold.current = true;
      tell(
        "The browser searches only what is near here.",
        "To search the whole conversation, save it from the menu ⋯ at the top.",
      );
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, [isPart]);
}
