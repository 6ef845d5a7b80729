// Where somebody reads: kept while rows above get their true heights, or come, or go.
import type { Virtualizer } from "@tanstack/react-virtual";
import { useCallback, useLayoutEffect, useRef, useState, type RefObject } from "react";

/** Pixels from the end that are the end. */
const AT_END = 8;

/** An end of the conversation, or a row and where its top is below that of the box, in pixels. */
type Anchor = "start" | "end" | { key: string; top: number };

/**
 * Keeps the place of whoever reads a list of rows that are measured as they are drawn.
 *
 * keys: those of all rows, in order. hasNewer: whether there are rows behind the last one, so that it is not the end.
 */
export function usePlace(
  scroller: RefObject<HTMLDivElement | null>,
  virtual: Virtualizer<HTMLDivElement, Element>,
  keys: readonly string[],
  hasNewer: boolean,
) {
  // It opens at the end.
  const anchor = useRef<Anchor>("end");
  // Where the box stood when that was last looked at, or written here.
  const stood = useRef(0);
  const [, setTick] = useState(0);
  // One is enough to hold the place, and this one sees what is really drawn.
  virtual.shouldAdjustScrollPositionOnItemSizeChange = () => false;

  const moved = useCallback(() => {
    const box = scroller.current;
    // Behind another tab there is nothing to see.
    if (!box || box.clientHeight === 0 || box.scrollTop === stood.current) return;
    stood.current = box.scrollTop;
    anchor.current = seenIn(box, virtual, hasNewer);
  }, [scroller, virtual, hasNewer]);

  const write = useCallback(() => {
    const box = scroller.current;
    if (!box || box.clientHeight === 0 || keys.length === 0) return;
    const to = targetOf(anchor.current, box, virtual, keys);
    if (to === null) return;
    const before = box.scrollTop;
    if (Math.abs(to.scrollTop - before) >= 1) box.scrollTop = to.scrollTop;
    stood.current = box.scrollTop;
    if (to.isDrawn || box.scrollTop === before) return;
    // The rows there are drawn now, and not when the browser has told of the scrolling.
    virtual.scrollOffset = box.scrollTop;
    setTick((tick) => tick + 1);
  }, [scroller, virtual, keys]);

  // Whatever was drawn anew may have moved it. A browser tells of scrolling in its next frame only: what was scrolled
  // since is not undone, but for where it had to give way as there is less now.
  useLayoutEffect(() => {
    const box = scroller.current;
    if (box && stood.current <= box.scrollHeight - box.clientHeight) moved();
    write();
  });

  return {
    /** To be called when the box was scrolled: what is seen now is what is kept from now on. */
    moved,
    /** Goes to an end, or to a row in the upper half of the box. */
    go: useCallback(
      (to: "start" | "end" | string) => {
        const height = scroller.current?.clientHeight ?? 0;
        anchor.current = to === "start" || to === "end" ? to : { key: to, top: height / 3 };
        write();
      },
      [scroller, write],
    ),
  };
}

/** Where the box must stand for the anchor; null where its row is gone. */
function targetOf(
  anchor: Anchor,
  box: HTMLDivElement,
  virtual: Virtualizer<HTMLDivElement, Element>,
  keys: readonly string[],
): { scrollTop: number; isDrawn: boolean } | null {
  if (anchor === "start") return { scrollTop: 0, isDrawn: false };
  if (anchor === "end") return { scrollTop: box.scrollHeight - box.clientHeight, isDrawn: false };
  const row = virtual.elementsCache.get(anchor.key);
  if (row?.isConnected) {
    const top = row.getBoundingClientRect().top - box.getBoundingClientRect().top;
    return { scrollTop: box.scrollTop + top - anchor.top, isDrawn: true };
  }
  const index = keys.indexOf(anchor.key);
  const place = virtual.measurementsCache[index];
  return place ? { scrollTop: place.start - anchor.top, isDrawn: false } : null;
}

/** What is seen first in the box. */
function seenIn(
  box: HTMLDivElement,
  virtual: Virtualizer<HTMLDivElement, Element>,
  hasNewer: boolean,
): Anchor {
  if (!hasNewer && box.scrollHeight - box.clientHeight - box.scrollTop < AT_END) return "end";
  const edge = box.getBoundingClientRect().top;
  for (const { key } of virtual.getVirtualItems()) {
    const place = virtual.elementsCache.get(key)?.getBoundingClientRect();
    if (place && place.bottom > edge && place.top < edge + box.clientHeight)
      return { key: String(key), top: place.top - edge };
  }
  // A leap beyond all that is drawn: which row is there is known before it is drawn.
  const there = virtual.getVirtualItemForOffset(box.scrollTop);
  return there ? { key: String(there.key), top: there.start - box.scrollTop } : "start";
}
