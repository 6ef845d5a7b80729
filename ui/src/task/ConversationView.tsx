import { useEffect, useLayoutEffect, useRef, useState } from "react";

import type { Task } from "../api/types";
import { Bone, Button, ErrorBox } from "../design";
import css from "./task.module.css";
import { EntryView, type Place } from "./Entries";
import type { Transcript, TranscriptView } from "./transcript";

/** Pixels from the end within which the page follows what comes. */
const NEAR = 80;

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
  const inner = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const [hasMore, setMore] = useState(false);
  const { conversation, isReady } = view;

  const toEnd = () => {
    const box = scroller.current;
    if (box) box.scrollTop = box.scrollHeight;
  };

  // Whatever makes the conversation longer: new items, Markdown that has been loaded, a fold that was opened.
  useEffect(() => {
    if (!inner.current) return;
    const watcher = new ResizeObserver(() => {
      if (isAtEnd.current) toEnd();
    });
    watcher.observe(inner.current);
    return () => watcher.disconnect();
  }, [isReady]);

  useEffect(() => {
    if (!isAtEnd.current) setMore(true);
  }, [conversation.last]);

  // Older items come in above; what somebody reads stays where it is.
  const before = useRef({ first: 0, height: 0 });
  useLayoutEffect(() => {
    const box = scroller.current;
    if (!box) return;
    if (before.current.first > conversation.first && conversation.first > 0 && !isAtEnd.current) {
      box.scrollTop += box.scrollHeight - before.current.height;
    }
    before.current = { first: conversation.first, height: box.scrollHeight };
  });

  // A page that does not fill the screen has nothing to scroll by.
  useEffect(() => {
    const box = scroller.current;
    if (isReady && box && box.scrollHeight <= box.clientHeight) void transcript.older();
  }, [isReady, view.version, transcript]);

  const onScroll = () => {
    const box = scroller.current;
    if (!box) return;
    isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    if (isAtEnd.current) setMore(false);
    if (box.scrollTop < 600) void transcript.older();
  };

  return (
    <div className={css.talk}>
      <div
        ref={scroller}
        className={css.scroller}
        role="region"
        aria-label="Conversation"
        tabIndex={0}
        onScroll={onScroll}
      >
        <div ref={inner} className={css.entries}>
          {view.error !== null && (
            <ErrorBox
              error={view.error}
              onRetry={() => void (isReady ? transcript.older() : transcript.start())}
            />
          )}
          {view.hasOlder && (
            <p className={css.older}>
              {view.isReadingOlder ? "Reading what was before…" : "There is more before this."}
            </p>
          )}
          {!isReady && view.error === null && (
            <>
              <Bone width={60} />
              <Bone width={85} />
              <Bone width={70} />
            </>
          )}
          {isReady && conversation.entries.length === 0 && (
            <p className={css.older}>Nothing has been said yet.</p>
          )}
          {conversation.entries.map((entry) => (
            <EntryView key={entry.key} entry={entry} place={place} />
          ))}
          {task?.status === "active" &&
            task.current_state?.state === "working" &&
            !task.waiting_for && <p className={css.busy}>Working</p>}
        </div>
      </div>
      {hasMore && (
        <Button
          className={css.toEnd}
          onClick={() => {
            isAtEnd.current = true;
            setMore(false);
            toEnd();
          }}
        >
          New below ↓
        </Button>
      )}
    </div>
  );
}
