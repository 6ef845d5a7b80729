// The rows, of which only those that are seen are in the document; one Tab stop, then keys.
import { Link, useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useRef, useState, type KeyboardEvent } from "react";

import type { Task } from "../api/types";
import { Badge, Kbd, Time } from "../design";
import { oneLine } from "../design/text";
import type { Row } from "./filter";
import { KeysDialog } from "./KeysDialog";
import css from "./list.module.css";
import { lookOf } from "./state";
import { useWords } from "./words";

const WIDE = "(min-width: 721px)";
/** Pixels of a row; the style sheet says the same. */
const HEIGHTS = { wide: { group: 36, task: 40 }, narrow: { group: 40, task: 68 } };

function useIsWide(): boolean {
  const [isWide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const query = matchMedia(WIDE);
    const tell = () => setWide(query.matches);
    query.addEventListener("change", tell);
    return () => query.removeEventListener("change", tell);
  }, []);
  return isWide;
}

export function TaskList({
  rows,
  selected,
  onSelect,
}: {
  rows: readonly Row[];
  selected: ReadonlySet<string>;
  onSelect: (selected: ReadonlySet<string>) => void;
}) {
  const navigate = useNavigate();
  const scroller = useRef<HTMLDivElement>(null);
  const heights = HEIGHTS[useIsWide() ? "wide" : "narrow"];
  const [current, setCurrent] = useState<string | null>(null);
  const [showsKeys, setShowsKeys] = useState(false);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => heights[rows[index]!.kind],
    getItemKey: (index) => {
      const row = rows[index]!;
      return row.kind === "task" ? row.task.id : row.group;
    },
    overscan: 12,
  });
  useEffect(() => virtual.measure(), [heights, rows, virtual]);

  const indexOf = (id: string | null) =>
    rows.findIndex((row) => row.kind === "task" && row.task.id === id);

  const go = (step: number) => {
    const from = indexOf(current);
    let to = from === -1 ? (step > 0 ? 0 : rows.length - 1) : from + step;
    while (rows[to] && rows[to]!.kind !== "task") to += Math.sign(step);
    const row = rows[to];
    if (row?.kind !== "task") return;
    setCurrent(row.task.id);
    virtual.scrollToIndex(to);
  };

  const toggle = useCallback(
    (id: string) => {
      const changed = new Set(selected);
      if (!changed.delete(id)) changed.add(id);
      onSelect(changed);
    },
    [selected, onSelect],
  );

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys: Record<string, () => void> = {
      j: () => go(1),
      ArrowDown: () => go(1),
      k: () => go(-1),
      ArrowUp: () => go(-1),
      x: () => current && toggle(current),
      Escape: () => onSelect(new Set()),
      Enter: () => {
        const row = rows[indexOf(current)];
        if (row?.kind === "task") open(row.task);
      },
    };
    const run = keys[event.key];
    if (!run) return;
    // Enter on a link of a row is the browser's.
    if (event.key === "Enter" && (event.target as HTMLElement).tagName === "A") return;
    event.preventDefault();
    run();
  };
  const open = (task: Task) =>
    void navigate({ to: "/tasks/$user/$task", params: { user: task.owner_name, task: task.id } });

  // j and k work wherever nobody types, as people expect of a list that fills the page.
  const pressRef = useRef(press);
  pressRef.current = press;
  useEffect(() => {
    const everywhere = (event: globalThis.KeyboardEvent) => {
      const at = event.target as HTMLElement;
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (at.closest("input, textarea, select, dialog, [contenteditable]")) return;
      if (event.key === "?") setShowsKeys(true);
      if (event.key === "n") void navigate({ to: "/tasks/new" });
      if (at !== document.body) return;
      if (["j", "k", "x", "Enter"].includes(event.key)) {
        pressRef.current(event as unknown as KeyboardEvent);
        document.getElementById("task-list")?.focus({ preventScroll: true });
      }
    };
    addEventListener("keydown", everywhere);
    return () => removeEventListener("keydown", everywhere);
  }, [navigate]);

  const items = virtual.getVirtualItems();
  const isShown = items.some((item) => item.key === current);
  return (
    <>
      <div
        ref={scroller}
        id="task-list"
        className={css.list}
        role="grid"
        aria-label="Tasks"
        aria-rowcount={rows.length}
        aria-multiselectable="true"
        aria-activedescendant={current && isShown ? `task-${current}` : undefined}
        tabIndex={0}
        onKeyDown={press}
        onFocus={(event) => event.target === scroller.current && current === null && go(1)}
      >
        <div role="presentation" className={css.rows} style={{ height: virtual.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index]!;
            const place = { height: item.size, transform: `translateY(${item.start}px)` };
            return row.kind === "group" ? (
              <div
                key={item.key}
                role="row"
                aria-rowindex={item.index + 1}
                className={css.group}
                style={place}
              >
                <h2 role="rowheader">
                  {row.title} <span className={css.count}>{row.count}</span>
                </h2>
              </div>
            ) : (
              <TaskRow
                key={item.key}
                task={row.task}
                index={item.index}
                height={item.size}
                start={item.start}
                isCurrent={row.task.id === current}
                isSelected={selected.has(row.task.id)}
                onToggle={toggle}
              />
            );
          })}
        </div>
      </div>
      <p className={css.keys} aria-hidden="true">
        <span>
          <Kbd>j</Kbd> <Kbd>k</Kbd> move
        </span>
        <span>
          <Kbd>x</Kbd> select
        </span>
        <span>
          <Kbd>↵</Kbd> open
        </span>
        <span>
          <Kbd>/</Kbd> search
        </span>
        <span>
          <Kbd>?</Kbd> all keys
        </span>
      </p>
      <KeysDialog isOpen={showsKeys} onClose={() => setShowsKeys(false)} />
    </>
  );
}

interface RowProps {
  task: Task;
  index: number;
  height: number;
  start: number;
  isCurrent: boolean;
  isSelected: boolean;
  onToggle: (id: string) => void;
}

const TaskRow = memo(function TaskRow(props: RowProps) {
  const { task, index, isCurrent, isSelected } = props;
  const look = lookOf(task);
  const name = oneLine(task.display_name || task.name);
  const words = oneLine(useWords(task));
  return (
    <div
      role="row"
      id={`task-${task.id}`}
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      className={css.row}
      data-current={isCurrent}
      data-tone={look.tone}
      style={{ height: props.height, transform: `translateY(${props.start}px)` }}
    >
      <span role="gridcell" className={css.check}>
        <label>
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={`Select ${name}`}
            checked={isSelected}
            onChange={() => props.onToggle(task.id)}
          />
        </label>
      </span>
      <span role="gridcell" className={css.state}>
        <Badge tone={look.tone}>{look.label}</Badge>
      </span>
      <span role="gridcell" className={css.name}>
        <Link
          to="/tasks/$user/$task"
          params={{ user: task.owner_name, task: task.id }}
          tabIndex={-1}
          preload={false}
        >
          <bdi>{name}</bdi>
        </Link>
      </span>
      <span role="gridcell" className={css.words} title={words}>
        <bdi>{words}</bdi>
      </span>
      <span role="gridcell" className={css.template}>
        <bdi>{oneLine(task.template_display_name || task.template_name)}</bdi>
      </span>
      <span role="gridcell" className={css.owner}>
        <bdi>{task.owner_name}</bdi>
      </span>
      <span role="gridcell" className={css.age}>
        <Time at={task.created_at} />
      </span>
    </div>
  );
});
